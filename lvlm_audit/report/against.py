"""A comparison with a baseline in words: its outcome in one sentence, and its figures in short."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lvlm_audit.document import Change, ChangedAnswers, Comparison, Outcome, Severity
from lvlm_audit.report.verdicts import OUTCOME_VERDICTS
from lvlm_audit.report.words import clip, counted

MAX_FED = 20
"""Settings that are listed; a whole generation config may differ."""

_REST = {
    Outcome.UNDECIDED: "undecided",
    Outcome.NOT_COMPARED: "not compared",
    Outcome.EXCLUDED: "excluded",
}


def overall(comparison: Comparison) -> tuple[Outcome, str]:
    """The worst outcome of the deciding checks, and one sentence that says so."""
    judged = [c for c in comparison.changes if c.severity is Severity.ERROR]
    if not judged:
        return (
            Outcome.NOT_COMPARED,
            "No deciding check is held against this baseline: what differs is described.",
        )
    by = {outcome: [c for c in judged if c.outcome is outcome] for outcome in OUTCOME_VERDICTS}
    worst = next(outcome for outcome in OUTCOME_VERDICTS if by[outcome])
    rest = ", ".join(f"{len(by[one])} {word}" for one, word in _REST.items() if by[one])
    checks = counted(len(judged), "deciding check")
    if shown := by[Outcome.SHOWN]:
        told = "; ".join(clip(change.short or change.check, 160) for change in shown)
        said = f"A loss beyond what is tolerated is shown in {len(shown)} of {checks}: {told}."
        return worst, f"{said} The others: {rest}." if rest else said
    if worst is Outcome.EXCLUDED:
        every = "the one deciding check" if len(judged) == 1 else f"all {checks}"
        return worst, f"A loss beyond what is tolerated is excluded in {every}."
    return worst, f"No loss beyond what is tolerated is shown; of {checks}: {rest}."


def answers_words(answers: ChangedAnswers) -> str:
    """ "13 of 24 answers changed (2 ties not counted)"."""
    ties = f" ({counted(answers.ties, 'tie')} not counted)" if answers.ties else ""
    return f"{answers.changed} of {counted(answers.compared, 'answer')} changed{ties}"


def figures_of(comparison: Comparison) -> Iterator[str]:
    """Each figure in a few words: "13 of 24 answers changed", "right answers fell from 20 to 9"."""
    if comparison.answers is not None:
        yield answers_words(comparison.answers)
    for change in comparison.changes:
        if change.outcome is not Outcome.NOT_COMPARED:
            yield change.short or change.check


def needed_words(changes: Sequence[Change]) -> str:
    """About how many images would decide what stayed open; empty where that is not known."""
    needed = [c.images_to_exclude for c in changes if c.images_to_exclude is not None]
    return f"about {counted(max(needed), 'image')} would decide" if needed else ""
