"""What is observed and held against no bound: described, apart from the checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.report.sections.findings import FindingView
from lvlm_audit.report.verdicts import badness


@dataclass(frozen=True, slots=True)
class Descriptions:
    """What the template reads."""

    name: ClassVar[str] = "descriptions"

    views: list[FindingView]


def section(views: Sequence[FindingView]) -> Descriptions | None:
    """Those without a bound, what was lost against a baseline first; None where every finding has a bound."""
    described = [view for view in views if view.described]
    return (
        Descriptions(sorted(described, key=lambda view: badness(view.loss))) if described else None
    )
