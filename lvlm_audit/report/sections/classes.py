"""Classes of tokens side by side: every measure on its own scale, one whisker a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import Audit, ClassMeasure, ClassValue
from lvlm_audit.report.drawing.whisker import SmallWhisker, small_scale, small_whisker
from lvlm_audit.report.words import finite, is_share


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class within one measure."""

    value: ClassValue
    whisker: SmallWhisker | None


@dataclass(frozen=True, slots=True)
class MeasureView:
    """One measure and its rows; classes without tokens are left out."""

    measure: ClassMeasure
    rows: list[ClassRow]
    scale: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Classes:
    """What the template reads."""

    name: ClassVar[str] = "classes"

    measures: list[MeasureView]


def section(audit: Audit) -> Classes | None:
    """Draw every measure; None where classes were not compared."""
    if audit.classes is None:
        return None
    return Classes([_view(measure) for measure in audit.classes.measures])


def _view(measure: ClassMeasure) -> MeasureView:
    rows = [v for v in measure.classes if finite(v.observed) is not None]
    ends = [finite(v.observed) or 0.0 for v in rows]
    ends += [e for v in rows if v.interval for e in (v.interval.low, v.interval.high) if finite(e)]
    low, high = (0.0, 1.0) if is_share(measure.unit) else (0.0, max([*ends, 1.0]))
    scale = small_scale(low, high)
    return MeasureView(
        measure,
        [ClassRow(v, small_whisker(v.observed, v.interval, scale)) for v in rows],
        (low, high),
    )
