"""From answers under interventions to the document's reading of what they correct and break."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lvlm_audit.document import (
    CorrectionsReading,
    InterventionReading,
    RedecodedAnswer,
    WordFate,
    WordShare,
    rounded,
)
from lvlm_audit.hallucination.corrections import (
    Compared,
    Net,
    Plain,
    Share,
    broken,
    compare_answers,
    corrected,
    net,
)
from lvlm_audit.hallucination.places import Answer
from lvlm_audit.interventions.named import Skip
from lvlm_audit.readings.answers import interval_of
from lvlm_audit.recordings.evidence import Evidence, Recorded
from lvlm_audit.recordings.redecoded import REDECODED
from lvlm_audit.recordings.text_answers import TEXT_ANSWERS
from lvlm_audit.traces.effects import EffectTrace
from lvlm_audit.traces.redecoded import Redecoded


@dataclass(frozen=True, slots=True, eq=False)
class Anew:
    """The answers under one intervention.

    Attributes:
        intervention: its name.
        description: what it does.
        source: where it is defined.
        blocks: sets of blocks that were skipped.
        answers: by probe id; probes that could not be asked under it are left out.
        reason: why there are none for some or all; empty otherwise.
    """

    intervention: str
    description: str
    source: str
    blocks: Sequence[tuple[int, ...]]
    answers: Mapping[str, str]
    reason: str = ""


def anew(recorded: Iterable[Redecoded]) -> list[Anew]:
    """Recorded answers by intervention, in the order of recording."""
    found: dict[str, list[Redecoded]] = {}
    for one in recorded:
        found.setdefault(one.intervention, []).append(one)
    return [
        Anew(
            name,
            items[0].description,
            items[0].source,
            sorted({one.blocks for one in items if one.blocks}),
            {one.asked.id: one.answer for one in items},
        )
        for name, items in found.items()
    ]


def skipping(skip: Skip, effects: Recorded[EffectTrace]) -> Anew:
    """Answers with a skip set's blocks skipped, which were recorded for its effect."""
    located = isinstance(skip.which, str) and skip.at == "nodes"
    return Anew(
        intervention=skip.label,
        description="these blocks pass the residual stream through"
        + (", as located on the other half of the images" if located else ""),
        source="Wang et al. 2025, arXiv 2504.02862",
        blocks=sorted({one.blocks for one in effects.items}),
        answers={one.asked.id: one.answer for one in effects.items if one.answer is not None},
        reason=effects.reason,
    )


def corrections_of(evidence: Evidence, *, seed: int = 0) -> CorrectionsReading | None:
    """The reading of an audit's evidence: every skip set that was asked for, then every decoding.

    Raises:
        ProbeError: labels that cannot be read; names the probe.
    """
    sets = sorted(evidence.effects.items(), key=lambda item: item[0].label)
    return corrections_reading(
        evidence.traces,
        [*(skipping(*one) for one in sets), *anew(evidence.of(REDECODED))],
        evidence.of(TEXT_ANSWERS),
        seed=seed,
    )


def corrections_reading(
    traces: Sequence[Answer],
    interventions: Iterable[Anew],
    text_answers: Sequence[Answer] = (),
    *,
    seed: int = 0,
) -> CorrectionsReading | None:
    """What interventions do to the labelled words of answers; None without a label or intervention.

    Args:
        traces: the base answers, plain greedy.
        interventions: answers to the same probes.
        text_answers: answers without an image, to tell errors of the language prior apart.
        seed: of the resampling.

    Raises:
        ProbeError: labels that cannot be read; names the probe.
    """
    tried = list(interventions)
    base = compare_answers(traces, traces, text_answers)
    if not tried or not base.fates:
        return None
    readings = [_reading(traces, one, text_answers, seed) for one in tried]
    wrong = sum(f.hallucinated for f in base.fates)
    return CorrectionsReading(
        scheme="; ".join(base.schemes),
        words=_words(len(base.fates), wrong, readings),
        images=len({f.cluster for f in base.fates}),
        labelled=len(base.fates),
        hallucinated=wrong,
        interventions=readings,
    )


def _reading(
    traces: Sequence[Answer], one: Anew, text_answers: Sequence[Answer], seed: int
) -> InterventionReading:
    again = [
        Plain(trace.asked, one.answers[trace.asked.id])
        for trace in traces
        if trace.asked.id in one.answers
    ]
    compared = compare_answers(traces, again, text_answers)
    blocks = [list(chosen) for chosen in one.blocks]
    reason = f" {one.reason[:1].upper()}{one.reason[1:].rstrip('.')}." if one.reason else ""
    if not compared.fates:
        return InterventionReading(
            one.intervention, one.description, one.source, blocks, "not measured",
            "Not measured:" + (reason or " no answer under it has a labelled base answer."),
        )  # fmt: skip
    fixed, hurt = corrected(compared, seed=seed), broken(compared, seed=seed)
    change = net(compared, seed=seed)
    told = all(f.prior_driven is not None for f in compared.fates if f.hallucinated)
    apart = told and fixed.n > 0
    return InterventionReading(
        intervention=one.intervention,
        description=one.description,
        source=one.source,
        blocks=blocks,
        verdict=change.verdict,
        words=_said(compared, fixed, hurt, change) + reason,
        answers=compared.answers,
        changed_answers=len(compared.differing),
        corrected=_share(fixed),
        kept=compared.count("kept", hallucinated=True),
        changed=compared.count("changed", hallucinated=True),
        hallucinated_gone=compared.count("gone", hallucinated=True),
        broken=_share(hurt),
        correct_gone=compared.count("gone", hallucinated=False),
        added=compared.added,
        labelled_after=compared.labelled_after,
        hallucinated_after=compared.hallucinated_after,
        net=rounded(change.value),
        net_interval=interval_of(change.spread),
        prior_driven=(_share(corrected(compared, seed=seed, prior_driven=True)) if apart else None),
        misread=_share(corrected(compared, seed=seed, prior_driven=False)) if apart else None,
        fates=[
            WordFate(
                f.probe,
                f.slot,
                f.said,
                f.now,
                f.expected,
                f.hallucinated,
                f.prior_driven,
                f.outcome,
            )
            for f in compared.fates
            if f.outcome != "held"
        ],
        differing=[RedecodedAnswer(*one) for one in compared.differing],
    )


def _share(share: Share) -> WordShare:
    known = share.value is not None
    return WordShare(
        share.held,
        share.n,
        share.images,
        rounded(share.value),
        interval_of(share.spread) if known else None,
    )


_VERDICTS = {
    "helps": "it helps: more words become right than are lost",
    "harms": "it harms: more right words are lost than won",
    "undecided": "whether it helps is undecided",
}


def _said(compared: Compared, fixed: Share, hurt: Share, change: Net) -> str:
    if not compared.differing:
        return f"It changes none of {compared.answers} answers."
    assert change.value is not None
    low, high = change.spread.low, change.spread.high
    return (
        f"{fixed.held} of {fixed.n} hallucinated words are corrected; {hurt.held} of {hurt.n} correct ones are "
        f"broken and {compared.count('gone', hallucinated=False)} said no more; "
        f"net {change.value:+.1%} of labelled words ({low:+.1%} to {high:+.1%}): "
        f"{_VERDICTS[change.verdict]}. {len(compared.differing)} of {compared.answers} answers differ."
    )


def _words(labelled: int, wrong: int, readings: Sequence[InterventionReading]) -> str:
    measured = [one for one in readings if one.verdict != "not measured"]
    if not wrong:
        return (
            f"None of {labelled} labelled words is hallucinated: there is nothing to correct, and an "
            f"intervention can only break."
        )
    helps = [one.intervention for one in measured if one.verdict == "helps"]
    harms = [one.intervention for one in measured if one.verdict == "harms"]
    return (
        f"{wrong} of {labelled} labelled words are hallucinated. Interventions that win more right words "
        f"than they lose: {', '.join(helps) or 'none'}; that lose more: {', '.join(harms) or 'none'}. "
        f"Intervals are of each intervention by itself, not corrected for their number."
    )
