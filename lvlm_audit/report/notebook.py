"""An audit in a notebook: the verdict, the stages, every finding in a line, and the worst probes."""

from __future__ import annotations

from dataclasses import dataclass

from lvlm_audit.document import Audit, ProbeReading
from lvlm_audit.report.drawing.ribbon import Ribbon, ribbon
from lvlm_audit.report.sections.findings import OPEN, FindingView, finding_views
from lvlm_audit.report.sections.header import Header, header
from lvlm_audit.report.select import urgency
from lvlm_audit.report.thumbnails import thumbnails

MAX_FINDINGS = 30
MAX_PROBES = 4
WIDTH = 760


@dataclass(frozen=True, slots=True)
class WorstProbe:
    """A probe that speaks against a finding that is not settled.

    Attributes:
        probe: what was asked and answered.
        images: thumbnails.
        checks: names of the findings, most urgent first.
    """

    probe: ProbeReading
    images: list[str]
    checks: list[str]


@dataclass(frozen=True, slots=True)
class Notebook:
    """Everything the template reads."""

    audit: Audit
    header: Header
    ribbon: Ribbon
    findings: list[FindingView]
    left_out: int
    probes: list[WorstProbe]


def notebook(audit: Audit) -> Notebook:
    """Arrange an audit for a cell's output."""
    views = finding_views(audit, {})
    return Notebook(
        audit=audit,
        header=header(audit, views),
        ribbon=ribbon(audit.stages, WIDTH),
        findings=views[:MAX_FINDINGS],
        left_out=max(0, len(views) - MAX_FINDINGS),
        probes=_worst(audit),
    )


def _worst(audit: Audit) -> list[WorstProbe]:
    against: dict[str, list[str]] = {}
    for finding in sorted(audit.findings, key=urgency):
        if finding.verdict in OPEN:
            for probe in finding.counterexamples:
                against.setdefault(probe, []).append(finding.check)
    named = {probe.id: probe for probe in reversed(audit.probes)}
    chosen = [named[i] for i in against if i in named][:MAX_PROBES]
    return [
        WorstProbe(probe, images, against[probe.id])
        for probe, images in zip(chosen, thumbnails(chosen), strict=True)
    ]
