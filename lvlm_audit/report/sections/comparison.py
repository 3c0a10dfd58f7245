"""The audit against its baseline, finding by finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import Audit, Difference
from lvlm_audit.report.drawing.whisker import Whisker, difference_whisker


@dataclass(frozen=True, slots=True)
class DifferenceView:
    """One difference to the baseline with its drawing."""

    difference: Difference
    unit: str
    whisker: Whisker | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the template reads."""

    name: ClassVar[str] = "comparison"

    differences: list[DifferenceView]


def section(audit: Audit) -> Comparison | None:
    """Draw the differences; None where there is no baseline."""
    if audit.comparison is None:
        return None
    units = {finding.check: finding.bound.unit for finding in audit.findings}
    return Comparison(
        [_view(one, one.unit or units.get(one.check, "")) for one in audit.comparison.differences]
    )


def _view(one: Difference, unit: str) -> DifferenceView:
    return DifferenceView(one, unit, difference_whisker(one.difference, one.interval, unit))
