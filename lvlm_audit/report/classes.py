"""Classes of tokens side by side: every measure on its own scale, one whisker a class."""

from __future__ import annotations

from dataclasses import dataclass

from lvlm_audit.document import ClassComparison, ClassMeasure, ClassValue
from lvlm_audit.report.charts import Scale
from lvlm_audit.report.words import finite, is_share

_WIDTH = 170


@dataclass(frozen=True, slots=True)
class SmallWhisker:
    """A dot and its interval, without an axis: rows of one measure share their scale."""

    dot: float
    low: float | None
    high: float | None
    start: float
    end: float
    width: int = _WIDTH


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


def measure_views(comparison: ClassComparison | None) -> list[MeasureView]:
    """What the template draws; empty where classes were not compared."""
    return [] if comparison is None else [_view(m) for m in comparison.measures]


def _view(measure: ClassMeasure) -> MeasureView:
    rows = [v for v in measure.classes if finite(v.observed) is not None]
    ends = [finite(v.observed) or 0.0 for v in rows]
    ends += [e for v in rows if v.interval for e in (v.interval.low, v.interval.high) if finite(e)]
    low, high = (0.0, 1.0) if is_share(measure.unit) else (0.0, max([*ends, 1.0]))
    scale = Scale(low, high, 6, _WIDTH - 6)
    return MeasureView(measure, [ClassRow(v, _whisker(v, scale)) for v in rows], (low, high))


def _whisker(value: ClassValue, scale: Scale) -> SmallWhisker | None:
    observed = finite(value.observed)
    if observed is None:
        return None
    ends = value.interval
    return SmallWhisker(
        dot=scale(observed),
        low=None if ends is None else scale(ends.low),
        high=None if ends is None else scale(ends.high),
        start=scale.start,
        end=scale.end,
    )
