"""The findings, stage by stage, each with its figures and drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import Audit, Expectation, Finding, Severity, Stage, Verdict
from lvlm_audit.report.drawing.ribbon import STAGE_KEYS
from lvlm_audit.report.drawing.whisker import Whisker, whisker
from lvlm_audit.report.records import rows
from lvlm_audit.report.select import urgency
from lvlm_audit.report.words import VERDICT_KEYS, Figures, figures

OPEN = {Verdict.FAIL, Verdict.INCONCLUSIVE}
"""Verdicts that ask for somebody's attention."""


@dataclass(frozen=True, slots=True)
class FindingView:
    """One finding with its figures and drawing."""

    finding: Finding
    anchor: str
    key: str
    stage_key: str
    figures: Figures
    whisker: Whisker
    probes: list[tuple[str, str | None]]
    """Counterexamples: id and place in the page, None where the page does not show the probe."""
    declared: list[tuple[str, str]]
    decides: bool


@dataclass(frozen=True, slots=True)
class Group:
    """The findings of one stage."""

    stage: Stage
    key: str
    findings: list[FindingView]


@dataclass(frozen=True, slots=True)
class Findings:
    """What the template reads."""

    name: ClassVar[str] = "findings"

    groups: list[Group]


def finding_views(audit: Audit, anchors: Mapping[str, str]) -> list[FindingView]:
    """All findings, most urgent first; the head of the page links to them too."""
    return [
        _view(finding, place, anchors)
        for place, finding in enumerate(sorted(audit.findings, key=urgency), start=1)
    ]


def section(views: Sequence[FindingView]) -> Findings:
    """Group the findings by stage."""
    return Findings(
        [
            Group(stage, STAGE_KEYS[stage], [v for v in views if v.finding.stage is stage])
            for stage in Stage
            if any(v.finding.stage is stage for v in views)
        ]
    )


def _view(finding: Finding, place: int, anchors: Mapping[str, str]) -> FindingView:
    return FindingView(
        finding=finding,
        anchor=f"finding-{place}",
        key=VERDICT_KEYS[finding.verdict],
        stage_key=STAGE_KEYS[finding.stage],
        figures=figures(finding),
        whisker=finding_whisker(finding),
        probes=[(probe, anchors.get(probe)) for probe in finding.counterexamples[:5]],
        declared=rows(finding.declared, 60),
        decides=(
            finding.severity is Severity.ERROR and finding.verdict in OPEN
            if finding.expectation is None
            else finding.expectation is Expectation.MUST_FAIL
        ),
    )


def finding_whisker(finding: Finding) -> Whisker:
    """The dot and whisker of one finding."""
    bound = finding.bound
    return whisker(
        finding.observed,
        finding.interval,
        bound.value,
        bound.op,
        bound.unit,
        finding.per_image.values(),
    )
