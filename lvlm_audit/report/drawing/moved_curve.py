"""Geometry of a difference of two curves over the depth, with its band and the line of no difference."""

from __future__ import annotations

from dataclasses import dataclass

from lvlm_audit.document import MovedCurve
from lvlm_audit.report.drawing.axes import Scale, Tick, index_ticks, nice_top, value_ticks
from lvlm_audit.report.drawing.paths import area, line
from lvlm_audit.report.words import amount, finite, number

MAX_PLACES = 400
"""Places of a curve that are drawn."""


@dataclass(frozen=True, slots=True)
class MovedChart:
    """The mean difference with its band; 0 in the middle, as neither side is good."""

    name: str
    unit: str
    axis: str
    width: float
    height: float
    x: Scale
    y: Scale
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    difference: str
    band: str
    start: float | None
    """Where the band leaves 0 first, in pixels."""
    said: str
    """The same in words."""
    n: int


def moved_chart(curve: MovedCurve, width: float = 344, height: float = 176) -> MovedChart:
    """Draw one curve's difference to the baseline."""
    difference, low, high = (
        values[:MAX_PLACES] for values in (curve.difference, curve.low, curve.high)
    )
    known = [abs(v) for values in (difference, low, high) for v in map(finite, values) if v]
    top = nice_top(max(known, default=1.0))
    size = max(2, len(difference))
    x, y = Scale(0, size - 1, 52, width - 12), Scale(-top, top, height - 36, 12)
    starts = finite(curve.starts)
    place = next((i for i, at in enumerate(curve.at[:size]) if at == starts), None)
    relative = curve.axis == "share of depth"
    if starts is None:
        said = "nowhere clear of 0"
    elif relative:
        said = f"clear of 0 from {amount(starts, 'share')} of the depth on"
    else:
        said = f"clear of 0 first at {curve.axis} {number(starts)}"
    share = Scale(0, 1, x.start, x.end)
    return MovedChart(
        name=curve.name,
        unit=curve.unit,
        axis=curve.axis,
        width=width,
        height=height,
        x=x,
        y=y,
        x_ticks=value_ticks(share, "share") if relative else index_ticks(size - 1, x, 6),
        y_ticks=value_ticks(y, curve.unit),
        difference=line(difference, x, y),
        band=area(low, high, x, y),
        start=None if place is None else x(place),
        said=said,
        n=curve.n,
    )
