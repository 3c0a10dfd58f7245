"""What `lvlm-audit plan` measured, as rows and words of its document."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lvlm_audit.compression.certification import CONFIDENCE, Candidate, upper_bound
from lvlm_audit.compression.losses import DEFINITIONS
from lvlm_audit.compression.nomination import Blocks, Nomination
from lvlm_audit.document import AnswerPair, CandidateSet, Loss, Method, NominatedSet, rounded
from lvlm_audit.settings.pruning import UNITS, Measure
from lvlm_audit.statistics import MIN_IMAGES, ClusterMean
from lvlm_audit.traces.effects import EffectTrace


def method_row(nomination: Nomination, search: Measure, loss: Callable[[Blocks], float]) -> Method:
    """A nomination with what each of its sets costs."""
    return Method(
        method=nomination.method,
        source=nomination.source,
        definition=nomination.definition,
        unit=UNITS[search] if nomination.unit == "loss" else nomination.unit,
        scores=[rounded(score) for score in nomination.scores],
        sets=[
            NominatedSet(list(blocks), rounded(loss(blocks)) or 0.0) for blocks in nomination.sets
        ],
        reason=nomination.reason,
    )


def candidate_row(
    candidate: Candidate, first: ClusterMean, second: ClusterMean, passed: bool
) -> CandidateSet:
    """A candidate with its loss on both halves."""
    return CandidateSet(
        blocks=list(candidate.blocks),
        methods=list(candidate.methods),
        nomination=loss_row(first),
        certification=loss_row(second),
        certified=passed,
    )


def loss_row(estimate: ClusterMean) -> Loss:
    """A loss with the interval whose upper end is the bound."""
    spread = upper_bound(estimate)
    return Loss(
        value=rounded(estimate.value) or 0.0,
        low=rounded(spread.low),
        high=rounded(spread.high),
        images=estimate.n,
        method=spread.method,
    )


def side_by_side(effect: EffectTrace) -> AnswerPair:
    """An answer of the whole model and the one without the blocks."""
    return AnswerPair(
        probe=effect.asked.id,
        prompt=effect.asked.prompt,
        reference=effect.asked.reference,
        whole=effect.base_answer,
        skipped=effect.answer or "",
        same=bool(effect.same_answer),
    )


def verdict(
    fixed: Sequence[Candidate],
    losses: Sequence[ClusterMean],
    passed: int,
    wanted: tuple[float, Measure],
    images: int,
    depth: int,
) -> str:
    """What is certified, or why nothing is.

    Args:
        fixed: the candidates of size 1, 2, ...
        losses: theirs on the certification half.
        passed: how many of them are certified.
        wanted: the budget, and the measure in whose unit it is.
        images: of the certification half, that count.
        depth: L.
    """
    budget, measure = wanted
    unit = UNITS[measure]
    if images < MIN_IMAGES:
        return (
            f"Nothing can be certified: {images} images of the certification half count, and "
            f"fewer than {MIN_IMAGES} decide nothing. Give at least {2 * MIN_IMAGES}."
        )
    if not passed:
        return (
            f"No block can be certified: without block {fixed[0].blocks[0]}, which costs least, the loss "
            f"is {losses[0].value:.3g} and may be {upper_bound(losses[0]).high:.3g} ({unit}); the budget is "
            f"{budget:g}."
        )
    several = "s" if passed > 1 else ""
    text = (
        f"{passed} of {depth} blocks can be removed (block{several} "
        f"{', '.join(map(str, fixed[passed - 1].blocks))}): the loss is at most "
        f"{upper_bound(losses[passed - 1]).high:.3g} {unit}, within the budget of {budget:g}."
    )
    if passed == len(fixed):
        text += " No larger set was tried."
    return text


def note(seed: int, search: Measure, measure: Measure) -> str:
    """How it was found."""
    compared = (
        ""
        if search == measure
        else f" Sets are compared on the nomination half by {DEFINITIONS[search]}."
    )
    return (
        f"The images are split at random (seed {seed}): one half nominates, the other "
        f"certifies, and none is in both. Of each size the set that costs least on the nomination half is "
        f"tested on the certification half, smallest first, until one exceeds the budget (fixed sequence; "
        f"no correction for several tests is needed). Intervals are two-sided 90 % over images; their "
        f"upper end is the one-sided {100 * CONFIDENCE:g} % bound.{compared}"
    )
