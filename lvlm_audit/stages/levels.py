"""Reading one level of evidence: is there a step, is there a plateau after it, does it change again?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lvlm_audit.metrics.nodes import MIN_PEAK, SHALLOW
from lvlm_audit.metrics.steps import MIN_STAGE
from lvlm_audit.stages.readings import (
    INCONCLUSIVE,
    NO_PATTERN,
    RISE_AND_PLATEAU,
    RISE_ONLY,
    THREE_STAGES,
    Bools,
    Floats,
    LevelReading,
)
from lvlm_audit.stages.summary import MUTATION_QUORUM, Images, Shape, mutation_states
from lvlm_audit.statistics import MIN_IMAGES

MAX_UNREST = 0.15
"""A stage is flat when its standard deviation is at most this share of the step. A ramp cut into
three has 0.29, a random walk of 9 to 80 steps falls below twice in under 5 % of draws, and 10 tokens
with noise of 0.1 of the step have 0.04 (tests/test_stages.py)."""

MAX_EARLY_UNREST = 0.25
"""The same for neighbour divergence before it collapses: it is large there, but nothing says that it
is even. At this bound it still may not swing from nothing to its maximum and back."""

MAX_WIDTH = 0.15
"""A step from 25 % to 75 % of its height that takes more than this share of the depth is a ramp."""

MIN_RISE_WIDTH = 2
"""States that a rise may take in a model however shallow: one state half-way up is no ramp."""

MAX_LOW = 0.5
"""After a collapse divergence is at most this share of what it was."""

TO_THE_END = "It rises to the end: there is no stabilization stage, which is no fault."
"""Said of what is still rising where the plateau would be."""

TRANSFER = 0.75
"""Share of one half's images whose step must lie where the other half's lies. Where steps are anywhere
in the middle half of the depth, slack covers 60 % of them."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Transitions that a plateau must hold.

    Attributes:
        to_the_end: where nothing follows it but the terminal transition: max(2, 0.1 L).
        between: where a mutation follows it.
    """

    to_the_end: int
    between: int


def read_probability(
    curve: Floats,
    nodes: dict[str, Floats],
    mutated: Bools,
    gained: Bools,
    images: Images,
    needs: Needs,
    name: str,
) -> LevelReading:
    """The probability level.

    Args:
        curve: [N, L+1].
        nodes: onset, critical and settle of each token, [N] each.
        mutated: [N, L+1] where tokens mutate.
        gained: [N, L+1] where tokens rise once more after they had kept a level.
        images: the image of each row.
        needs: length of a plateau.
        name: what the curve is, for the evidence: "Nucleus mass", "Probability".
    """
    blocks = images.blocks
    onset, critical, settle = (images.node(nodes[n]) for n in ("onset", "critical", "settle"))

    def reading(pattern: str, evidence: str, states: tuple[int, ...] = ()) -> LevelReading:
        return LevelReading("probability", pattern, evidence, onset, critical, settle, states)

    early = too_little(images)
    if early is not None:
        return reading(*early)
    if critical.state is None or critical.undefined > 0.5:
        return reading(
            NO_PATTERN,
            f"{critical.undefined:.0%} of tokens never rise to a level that they keep: "
            f"there is no critical state.",
        )
    shape = images.shape(curve, rises=True, shortest=MIN_STAGE)
    gain = 0.0 if shape is None else shape.after - shape.before
    if shape is None or gain < MIN_PEAK or critical.state < 1:
        return reading(
            NO_PATTERN,
            f"{name} gains {gain:.2f} over the depth; a rise needs at least {MIN_PEAK:g}.",
        )
    if shape.width > max(MIN_RISE_WIDTH, MAX_WIDTH * blocks):
        return reading(
            NO_PATTERN,
            _ramp("rise", shape, images),
        )
    if shape.border < MIN_STAGE - 1:
        return reading(NO_PATTERN, _no_early_stage(shape))
    if shape.unrest_before > MAX_UNREST:
        return reading(
            NO_PATTERN,
            f"{name} is not at rest before it rises: it varies by {shape.unrest_before:.0%} of the "
            f"step (at most {MAX_UNREST:.0%}).",
        )
    if shape.transfer < TRANSFER:
        return reading(NO_PATTERN, _no_transfer("rise", shape, images))
    rise = (
        f"{name} rises by {gain:.2f} around state {critical.state:g} of {blocks} (25 % to 75 % "
        f"within {shape.width:g} states); {_transferred(shape, images)}"
    )
    risen = _last_gain(nodes["critical"], gained, mutated)
    length = images.median(_plateau_length(risen, mutated)) or 0.0
    states = mutation_states(mutated)
    need = needs.between if states else needs.to_the_end
    no_plateau = _no_plateau(critical.state, images.median(risen) or 0.0, length, needs, states)
    if shape.unrest_after > MAX_UNREST:
        varies = f"it varies by {shape.unrest_after:.0%} of the step (at most {MAX_UNREST:.0%})"
        if shape.returns > 0.5:
            return reading(
                NO_PATTERN,
                f"{name} rises and falls back without holding a level: between the two {varies}.",
            )
        return reading(RISE_ONLY, f"{rise} After the rise {varies}. {no_plateau}")
    if length < need:
        return reading(RISE_ONLY, f"{rise} {no_plateau}")
    held = f"{rise} It then holds for {length:g} transitions, varying by {shape.unrest_after:.0%}."
    if not states:
        return reading(RISE_AND_PLATEAU, f"{held} No later state is a mutation layer.")
    return reading(THREE_STAGES, f"{held} {_mutate(states, 'tokens mutate')}", states)


def read_distribution(
    divergence: Floats, collapse: Floats, bursts: Bools, images: Images, needs: Needs
) -> LevelReading:
    """The distribution level.

    Args:
        divergence: [N, L] neighbour divergence, any scale, not negative.
        collapse: [N] collapse state of each token.
        bursts: [N, L+1] states that a burst leads to.
        images: the image of each row.
        needs: length of a plateau.
    """
    node = images.node(collapse)

    def reading(pattern: str, evidence: str, states: tuple[int, ...] = ()) -> LevelReading:
        return LevelReading(
            "distribution", pattern, evidence, critical=node, mutation_states=states
        )

    early = too_little(images)
    if early is not None:
        return reading(*early)
    if node.state is None or node.undefined > 0.5:
        return reading(
            NO_PATTERN,
            f"Neighbour divergence of {node.undefined:.0%} of tokens shows no sustained collapse.",
        )
    # The terminal transition is always reported apart.
    shape = images.shape(divergence[:, :-1], rises=False, shortest=MIN_STAGE - 1)
    if shape is None or shape.after > MAX_LOW * shape.before:
        return reading(
            NO_PATTERN,
            "Neighbour divergence does not fall to half of its early height and stay there.",
        )
    if shape.width > MAX_WIDTH * images.blocks:
        return reading(NO_PATTERN, _ramp("fall", shape, images))
    if shape.border < MIN_STAGE - 1:
        return reading(NO_PATTERN, _no_early_stage(shape))
    for stage, value, bound in (
        ("before", shape.unrest_before, MAX_EARLY_UNREST),
        ("after", shape.unrest_after, MAX_UNREST),
    ):
        if value > bound:
            return reading(
                NO_PATTERN,
                f"Neighbour divergence falls, but not from one level to another: {stage} the fall it "
                f"varies by {value:.0%} of the step (at most {bound:.0%}).",
            )
    if shape.transfer < TRANSFER:
        return reading(NO_PATTERN, _no_transfer("collapse", shape, images))
    fall = (
        f"Neighbour divergence collapses at state {node.state:g} of {images.blocks}, to "
        f"{shape.after / shape.before:.0%} of its earlier level; {_transferred(shape, images)}"
    )
    length = images.median(_plateau_length(collapse, bursts)) or 0.0
    states = mutation_states(bursts)
    need = needs.between if states else needs.to_the_end
    if length < need:
        return reading(
            RISE_ONLY,
            f"{fall} Only {max(length, 0):g} quiet transitions follow, {need} are needed: no plateau.",
        )
    held = f"{fall} It then stays low for {length:g} transitions."
    if not states:
        return reading(RISE_AND_PLATEAU, f"{held} No later state is a mutation layer.")
    return reading(THREE_STAGES, f"{held} {_mutate(states, 'tokens burst again')}", states)


def too_little(images: Images) -> tuple[str, str] | None:
    """Pattern and words for a model too shallow, or images too few; else None."""
    if images.blocks < SHALLOW:
        return (
            NO_PATTERN,
            f"{images.blocks} blocks are too shallow to divide (below {SHALLOW}).",
        )
    if images.count < MIN_IMAGES:
        some = "1 image is" if images.count == 1 else f"{images.count} images are"
        return (
            INCONCLUSIVE,
            f"{some} too few to tell (at least {MIN_IMAGES} are needed): nodes have the full range.",
        )
    return None


def _ramp(what: str, shape: Shape, images: Images) -> str:
    return (
        f"The {what} is a ramp: from 25 % to 75 % of its height it takes {shape.width:g} of "
        f"{images.blocks} transitions (a step takes at most {MAX_WIDTH:.0%} of the depth)."
    )


def _no_early_stage(shape: Shape) -> str:
    return (
        f"The step is at the very beginning (point {shape.border:g}): there is no stage before it."
    )


def _transferred(shape: Shape, images: Images) -> str:
    return (
        f"located on one half of the images, it lies within {images.slack:.3g} states of there in "
        f"{shape.transfer:.0%} of the other half."
    )


def _no_transfer(what: str, shape: Shape, images: Images) -> str:
    return (
        f"The {what} found on one half of the images lies elsewhere in the other: only "
        f"{shape.transfer:.0%} of its images have it within {images.slack:.3g} states "
        f"(at least {TRANSFER:.0%})."
    )


def _mutate(states: tuple[int, ...], what: str) -> str:
    return (
        f"At least {MUTATION_QUORUM:.0%} of {what} at each of states {', '.join(map(str, states))}."
    )


def _no_plateau(
    critical: float, risen: float, length: float, needs: Needs, states: tuple[int, ...]
) -> str:
    """Why there is no plateau; only words, the rule is the caller's."""
    said = "No plateau."
    if risen > critical:
        said = f"It gains again around state {risen:g}, which is more of the same rise. {said}"
    need = needs.between if states else needs.to_the_end
    if length < need:
        border = "the mutation" if states else "the terminal transition"
        said = (
            f"{said[:-1]}: {max(length, 0):g} transitions lie between the rise and {border}, "
            f"{need} are needed."
        )
        if not states:
            said = f"{said} {TO_THE_END}"
    return said


def _last_gain(critical: Floats, gained: Bools, mutated: Bools) -> Floats:
    """[N] where a token's rise is over: its critical state, or its last gain before its first mutation."""
    before = np.cumsum(mutated, axis=1) == 0
    states = np.arange(gained.shape[1])[None, :]
    last = np.where(gained & before, states, -1).max(axis=1)
    return np.asarray(np.maximum(critical, last), dtype=np.float64)


def _plateau_length(start: Floats, mutated: Bools) -> Floats:
    """[N] transitions from a token's node to the state before its first mutation or the last state."""
    first = np.where(mutated.any(axis=1), mutated.argmax(axis=1), mutated.shape[1] - 1)
    return np.asarray(first - 1 - start, dtype=np.float64)
