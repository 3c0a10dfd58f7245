"""The findings, stage by stage, each with its figures and drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import Audit, Change, Expectation, Finding, Severity, Stage, Verdict
from lvlm_audit.report.drawing.ribbon import STAGE_KEYS
from lvlm_audit.report.drawing.whisker import Whisker, whisker
from lvlm_audit.report.records import rows
from lvlm_audit.report.select import urgency
from lvlm_audit.report.verdicts import (
    VERDICT_KEYS,
    Said,
    bounds_decide,
    changes_of,
    of_outcome,
)
from lvlm_audit.report.words import Figures, figures

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
    """Its own bound, or an expectation, is why the run fails."""
    loss: Change | None
    """Against the baseline or the anchor, whichever is worse; None: it tolerates no loss, or there is none."""
    loss_said: Said | None
    loss_against: str
    """"baseline" or "anchor"."""

    @property
    def described(self) -> bool:
        """Observed and held against no bound."""
        return self.finding.bound.value is None


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
    described: bool
    """There are descriptions beside the checks."""


def finding_views(audit: Audit, anchors: Mapping[str, str]) -> list[FindingView]:
    """All findings, most urgent first; the head of the page links to them too."""
    bounds, losses = bounds_decide(audit), changes_of(audit)
    kept = [] if audit.anchor is None else audit.anchor.changes
    views = []
    for place, finding in enumerate(sorted(audit.findings, key=urgency), start=1):
        loss = next(iter(losses.get(finding.check, [])), None)
        against = "anchor" if any(loss is one for one in kept) else "baseline"
        views.append(_view(finding, place, anchors, bounds, loss, against))
    return views


def section(views: Sequence[FindingView]) -> Findings:
    """Group the checks by stage; what has no bound is described elsewhere."""
    checks = [view for view in views if not view.described]
    return Findings(
        [
            Group(stage, STAGE_KEYS[stage], [v for v in checks if v.finding.stage is stage])
            for stage in Stage
            if any(v.finding.stage is stage for v in checks)
        ],
        len(checks) < len(views),
    )


def _view(
    finding: Finding,
    place: int,
    anchors: Mapping[str, str],
    bounds: bool,
    loss: Change | None,
    against: str,
) -> FindingView:
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
            bounds and finding.severity is Severity.ERROR and finding.verdict in OPEN
            if finding.expectation is None
            else finding.expectation is Expectation.MUST_FAIL
        ),
        loss=loss,
        loss_said=None if loss is None else of_outcome(loss.outcome),
        loss_against=against,
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
