"""Which probes are drawn in full, which become table rows, and where a link to a probe leads.

A page of hundreds of fully drawn probes opens slowly or not at all, so the drawing is bounded by
number and by cells; what is left out is counted on the page and stays in the JSON document.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lvlm_audit.document import (
    Audit,
    Expectation,
    Finding,
    Outcome,
    ProbeReading,
    Severity,
    Verdict,
)
from lvlm_audit.report.drawing.token_chart import MAX_TOKENS
from lvlm_audit.report.verdicts import comparisons

MAX_FULL = 24
MAX_CELLS = 24_000
"""Tokens times states, over all fully drawn probes: about 3 MB of page."""
MAX_ROWS = 1500
MAX_LISTED = 60
"""Rows of the tables of nominated blocks and reversals, counterexamples and exclusions."""

_SETTLED = {Verdict.NOT_APPLICABLE: 2, Verdict.PASS: 3}


def urgency(finding: Finding) -> tuple[int, bool]:
    """Sort key: what fails the audit first, then what merely warns, then what needs nobody."""
    if finding.bound.value is None:
        return (4, finding.verdict is Verdict.NOT_APPLICABLE)
    warns = finding.severity is Severity.WARN or finding.expectation is Expectation.FAILED
    if finding.verdict in _SETTLED:
        return (_SETTLED[finding.verdict], warns)
    return (int(warns), finding.verdict is Verdict.INCONCLUSIVE)


@dataclass(frozen=True, slots=True)
class Selection:
    """The probes of a page, in the order in which they are shown."""

    full: list[ProbeReading]
    rows: list[ProbeReading]
    left_out: int
    anchors: dict[str, str]
    """Probe id -> name of its place in the page; ids themselves are hostile and never become names."""


def _cost(probe: ProbeReading, blocks: int) -> int:
    return min(len(probe.tokens), MAX_TOKENS) * (blocks + 1)


def select(audit: Audit) -> Selection:
    """Choose the probes to draw: what fell most against the baseline and the counterexamples of the most
    urgent findings first, then in order."""
    wanted: dict[str, None] = {}
    for one in comparisons(audit):
        for change in one.changes:
            if change.outcome is Outcome.SHOWN:
                wanted.update(dict.fromkeys(change.worst))
    for finding in sorted(audit.findings, key=urgency):
        wanted.update(dict.fromkeys(finding.counterexamples))
    named = {probe.id: probe for probe in reversed(audit.probes)}
    first = [named[i] for i in wanted if i in named]
    chosen = {id(probe) for probe in first}
    ordered = first + [probe for probe in audit.probes if id(probe) not in chosen]
    full: list[ProbeReading] = []
    spent = 0
    for probe in ordered[:MAX_FULL]:
        cost = _cost(probe, audit.subject.blocks)
        if full and spent + cost > MAX_CELLS:
            break
        full.append(probe)
        spent += cost
    rest = ordered[len(full) :]
    rows = rest[:MAX_ROWS]
    return Selection(full, rows, len(rest) - len(rows), _anchors([*full, *rows]))


def _anchors(probes: Sequence[ProbeReading]) -> dict[str, str]:
    anchors: dict[str, str] = {}
    for place, probe in enumerate(probes, start=1):
        anchors.setdefault(probe.id, f"probe-{place}")
    return anchors
