"""Verdicts and outcomes as a mark, a word and a colour, and what the whole audit says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lvlm_audit.document import (
    Audit,
    Change,
    Comparison,
    Expectation,
    Finding,
    Outcome,
    Severity,
    Verdict,
)
from lvlm_audit.report.words import counted

VERDICT_KEYS = {
    Verdict.PASS: "pass",
    Verdict.FAIL: "fail",
    Verdict.INCONCLUSIVE: "open",
    Verdict.NOT_APPLICABLE: "na",
    Verdict.DESCRIBED: "none",
}
"""Short names for CSS classes and script; never built from a document's text."""

VERDICT_MARKS = {
    Verdict.PASS: "✓",
    Verdict.FAIL: "✗",
    Verdict.INCONCLUSIVE: "?",
    Verdict.NOT_APPLICABLE: "–",
    Verdict.DESCRIBED: "·",
}

OUTCOME_VERDICTS = {
    Outcome.SHOWN: Verdict.FAIL,
    Outcome.UNDECIDED: Verdict.INCONCLUSIVE,
    Outcome.NOT_COMPARED: Verdict.NOT_APPLICABLE,
    Outcome.EXCLUDED: Verdict.PASS,
}
"""The verdict whose mark and colour an outcome has; the worst first."""

OUTCOME_WORDS = {
    Outcome.SHOWN: "loss shown",
    Outcome.UNDECIDED: "undecided",
    Outcome.NOT_COMPARED: "not compared",
    Outcome.EXCLUDED: "loss excluded",
}


@dataclass(frozen=True, slots=True)
class Said:
    """A verdict as a sign, a word, and the verdict whose colour it has."""

    mark: str
    word: str
    colour: Verdict

    @property
    def key(self) -> str:
        """Name of its colour in the style sheet."""
        return VERDICT_KEYS[self.colour]


def of_outcome(outcome: Outcome) -> Said:
    """What is known of a loss."""
    colour = OUTCOME_VERDICTS[outcome]
    return Said(VERDICT_MARKS[colour], OUTCOME_WORDS[outcome], colour)


def of_audit(audit: Audit) -> Said:
    """An audit's verdict, in a word of its own where it is neither a pass nor a failure.

    Where no check could fail the run, it is not called a pass; where checks are merely undecided, which
    does fail the run, it is not called a failure of the model.
    """
    verdict = audit.verdict
    if verdict is Verdict.PASS and not deciding(audit):
        return Said("–", "nothing decides", Verdict.NOT_APPLICABLE)
    if verdict is Verdict.FAIL and _merely_undecided(audit):
        verdict = Verdict.INCONCLUSIVE
    return Said(VERDICT_MARKS[verdict], str(verdict), verdict)


def _merely_undecided(audit: Audit) -> bool:
    if audit.gate is not None:
        return bool(audit.gate.undecided) and not audit.gate.red
    counts = [f for f in audit.findings if f.severity is Severity.ERROR and not f.expectation]
    strict = any(f.expectation is Expectation.MUST_FAIL for f in audit.findings)
    kinds = {f.verdict for f in counts}
    return Verdict.INCONCLUSIVE in kinds and Verdict.FAIL not in kinds and not strict


def comparisons(audit: Audit) -> Iterator[Comparison]:
    """With the baseline, and with its anchor."""
    yield from (one for one in (audit.comparison, audit.anchor) if one is not None)


def changes_of(audit: Audit) -> dict[str, list[Change]]:
    """By check, what is known of its loss against the baseline and the anchor; the worst first."""
    found: dict[str, list[Change]] = {}
    for one in comparisons(audit):
        for change in one.changes:
            found.setdefault(change.check, []).append(change)
    return {name: sorted(several, key=badness) for name, several in found.items()}


def badness(change: Change | None) -> int:
    """Sort key: what is worst first, what is held against nothing last."""
    rank = list(OUTCOME_VERDICTS)
    return len(rank) if change is None else rank.index(change.outcome)


def bounds_decide(audit: Audit) -> bool:
    """Whether a check that is beyond its own bound fails the run."""
    return audit.gate is None or audit.gate.fail_on not in ("regression", "not-excluded")


def losses_decide(audit: Audit) -> bool:
    """Whether a loss against the baseline fails the run."""
    return audit.gate is not None and audit.gate.fail_on != "absolute"


def deciding(audit: Audit) -> list[Finding]:
    """Findings that could fail the run."""
    bound, loss, compared = bounds_decide(audit), losses_decide(audit), changes_of(audit)
    return [
        f
        for f in audit.findings
        if f.severity is Severity.ERROR
        and ((bound and f.bound.value is not None) or (loss and f.check in compared))
    ]


def looks(audit: Audit) -> str:
    """After how many looks a run that asks its images in parts was decided; else empty."""
    gate = audit.gate
    if gate is None or gate.looks_planned == 1:
        return ""
    images = len({probe.cluster for probe in audit.asked})
    return (
        f"after {gate.looks} of {gate.looks_planned} looks: {images} of "
        f"{counted(gate.images_planned, 'image')}"
    )


def left_out(audit: Audit) -> str:
    """How many deciding checks were run where some were not; else empty."""
    missing = [] if audit.gate is None else audit.gate.left_out
    if not missing:
        return ""
    run = len(deciding(audit))
    return f"{run} of {counted(run + len(missing), 'deciding check')} {'was' if run == 1 else 'were'} run"
