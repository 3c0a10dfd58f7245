"""The head of the page: the verdict, why it is not green, and what was audited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lvlm_audit.document import Audit, Change, Outcome, Severity, Verdict
from lvlm_audit.report.against import needed_words
from lvlm_audit.report.sections.findings import OPEN, FindingView
from lvlm_audit.report.verdicts import (
    VERDICT_KEYS,
    Said,
    badness,
    bounds_decide,
    comparisons,
    left_out,
    looks,
    losses_decide,
    of_audit,
    of_outcome,
)
from lvlm_audit.report.words import instrument


@dataclass(frozen=True, slots=True)
class FamilyLine:
    """One check of the regression family in the head of the page."""

    change: Change
    said: Said
    anchor: str | None
    """Place of its finding in the page."""

    @property
    def told(self) -> str:
        """In few words; of what is not compared, why; of what is undecided, the images that would decide."""
        if self.change.outcome is Outcome.NOT_COMPARED:
            return self.change.sentence
        told = self.change.short or self.change.sentence
        if self.change.outcome is Outcome.UNDECIDED and (needed := needed_words([self.change])):
            return f"{told}; {needed}"
        return told


@dataclass(frozen=True, slots=True)
class FamilyLines:
    """The regression family against one baseline, the worst first."""

    place: str
    """Section of the page."""
    which: str
    model: str
    lines: list[FamilyLine]


@dataclass(frozen=True, slots=True)
class Header:
    """What the template reads."""

    key: str
    outcome: Said
    exit_words: str
    """What an undecided run ends with; empty where it is decided."""
    looks: str
    """How much of the images was asked; empty where there was one look."""
    families: list[FamilyLines]
    losses_decide: bool
    deciding: list[FindingView]
    """Error-severity findings that failed or stayed open: why the audit is not green."""
    beyond: list[FindingView]
    """The same, where bounds decide nothing."""
    warned: list[FindingView]
    expected: list[FindingView]
    """Those that somebody expected to fail."""
    tally: list[tuple[Verdict, str, int]]
    """Of the checks; descriptions are counted apart."""
    described: int
    left_out: str
    left_out_names: list[str]
    images: int
    tokens: int
    instrument: str
    created: str | None


def header(audit: Audit, findings: Sequence[FindingView]) -> Header:
    """Arrange the head of the page; findings come in order of urgency."""
    created = audit.provenance.get("created")
    said = of_audit(audit)
    open_ones = [
        v
        for v in findings
        if not v.decides and v.finding.verdict in OPEN and not v.finding.expectation
    ]
    beyond = [
        v for v in open_ones if not bounds_decide(audit) and v.finding.severity is Severity.ERROR
    ]
    places = {v.finding.check: v.anchor for v in findings}
    checks = [v.finding for v in findings if not v.described]
    return Header(
        key=said.key,
        outcome=said,
        exit_words=(
            "Undecided: exit code 6."
            if audit.gate is not None and said.colour is Verdict.INCONCLUSIVE
            else ""
        ),
        looks=looks(audit),
        families=_families(audit, places),
        losses_decide=losses_decide(audit),
        deciding=[v for v in findings if v.decides],
        beyond=beyond,
        warned=[v for v in open_ones if v not in beyond],
        expected=[v for v in findings if v.finding.expectation and not v.decides],
        tally=[
            (verdict, VERDICT_KEYS[verdict], sum(f.verdict is verdict for f in checks))
            for verdict in Verdict
        ],
        described=len(findings) - len(checks),
        left_out=left_out(audit),
        left_out_names=[] if audit.gate is None else audit.gate.left_out,
        images=len({probe.cluster for probe in audit.probes}),
        tokens=sum(len(probe.tokens) for probe in audit.probes),
        instrument=instrument(audit.subject),
        created=created if isinstance(created, str) else None,
    )


def _families(audit: Audit, places: Mapping[str, str]) -> list[FamilyLines]:
    return [
        FamilyLines(
            place="comparison" if one is audit.comparison else "anchor",
            which="baseline" if one is audit.comparison else "anchor",
            model=one.baseline_model,
            lines=[
                FamilyLine(change, of_outcome(change.outcome), places.get(change.check))
                for change in sorted(one.changes, key=badness)
            ],
        )
        for one in comparisons(audit)
        if one.changes
    ]
