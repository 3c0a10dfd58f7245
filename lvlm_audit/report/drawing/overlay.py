"""Geometry of curves of two conditions in one chart, each with its quartile band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lvlm_audit.document import LayerSummary
from lvlm_audit.report.drawing.axes import Scale, Tick, index_ticks, nice_top, value_ticks
from lvlm_audit.report.drawing.paths import area, line
from lvlm_audit.report.words import finite


@dataclass(frozen=True, slots=True)
class Drawn:
    """One condition; the second one is dashed, so that colour is not all that tells them apart."""

    name: str
    key: str
    median: str
    band: str


@dataclass(frozen=True, slots=True)
class Overlay:
    """Curves on shared axes."""

    title: str
    unit: str
    axis: str
    width: float
    height: float
    x: Scale
    y: Scale
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    drawn: list[Drawn]
    last: int


def overlay(
    title: str,
    named: Sequence[tuple[str, LayerSummary]],
    width: float = 526.0,
    height: float = 250.0,
) -> Overlay | None:
    """Geometry of up to two curves, or None where there is none.

    Args:
        title: of the chart.
        named: condition and its curve; unit and axis are those of the first.
        width: in pixels.
        height: in pixels.
    """
    if not named:
        return None
    first = named[0][1]
    size = max(2, *(len(curve.median) for _, curve in named))
    known = [
        value
        for _, curve in named
        for values in (curve.median, curve.low, curve.high)
        for value in map(finite, values)
        if value is not None
    ]
    top = 1.0 if first.unit == "probability" else nice_top(max(known, default=1.0))
    x, y = Scale(0, size - 1, 44, width - 12), Scale(0, top, height - 36, 12)
    return Overlay(
        title=title,
        unit=first.unit,
        axis=first.axis,
        width=width,
        height=height,
        x=x,
        y=y,
        x_ticks=index_ticks(size - 1, x),
        y_ticks=value_ticks(y, first.unit),
        drawn=[
            Drawn(
                name,
                f"c{place}",
                line(curve.median, x, y),
                area(curve.low, curve.high, x, y),
            )
            for place, (name, curve) in enumerate(named[:2])
        ],
        last=size - 1,
    )
