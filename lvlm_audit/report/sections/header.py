"""The head of the page: the verdict, why it is not green, and what was audited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lvlm_audit.document import Audit, Verdict
from lvlm_audit.report.sections.findings import OPEN, FindingView
from lvlm_audit.report.words import VERDICT_KEYS, Outcome, instrument, outcome


@dataclass(frozen=True, slots=True)
class Header:
    """What the template reads."""

    key: str
    outcome: Outcome
    deciding: list[FindingView]
    """Error-severity findings that failed or stayed open: why the audit is not green."""
    warned: list[FindingView]
    expected: list[FindingView]
    """Those that somebody expected to fail."""
    tally: list[tuple[Verdict, str, int]]
    images: int
    tokens: int
    instrument: str
    created: str | None


def header(audit: Audit, findings: Sequence[FindingView]) -> Header:
    """Arrange the head of the page; findings come in order of urgency."""
    created = audit.provenance.get("created")
    return Header(
        key=VERDICT_KEYS[outcome(audit).colour],
        outcome=outcome(audit),
        deciding=[v for v in findings if v.decides],
        warned=[
            v
            for v in findings
            if not v.decides and v.finding.verdict in OPEN and not v.finding.expectation
        ],
        expected=[v for v in findings if v.finding.expectation and not v.decides],
        tally=[
            (verdict, VERDICT_KEYS[verdict], sum(f.verdict is verdict for f in audit.findings))
            for verdict in Verdict
        ],
        images=len({probe.cluster for probe in audit.probes}),
        tokens=sum(len(probe.tokens) for probe in audit.probes),
        instrument=instrument(audit.subject),
        created=created if isinstance(created, str) else None,
    )
