"""Geometry of one curve over the layers: median and quartile band, or bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lvlm_audit.document import LayerSummary
from lvlm_audit.report.drawing.axes import Scale, Tick, index_ticks, nice_top, value_ticks
from lvlm_audit.report.drawing.paths import area, line
from lvlm_audit.report.words import finite, is_share

LAYER_NAMES = {
    "probability": "Probability of the emitted token",
    "nucleus": "Nucleus mass",
    "nucleus_mass": "Nucleus mass",
    "divergence": "Divergence between neighbouring states",
    "kl_to_final": "KL divergence, final state to this state",
    "jsd_to_final": "JSD to the final state",
    "entropy": "Entropy",
    "rank": "Rank of the emitted token",
}


@dataclass(frozen=True, slots=True)
class BandChart:
    """A median curve with its quartile band, or bars, over states or transitions."""

    width: float
    height: float
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    x: Scale
    y: Scale
    median: str
    band: str
    bars: list[tuple[float, float, float, float]]
    last: int


def _frame(
    size: int, top: float, width: float, height: float, bottom: float = 0.0
) -> tuple[Scale, Scale]:
    return Scale(0, max(1, size - 1), 44, width - 12), Scale(bottom, top, height - 36, 12)


def band_chart(summary: LayerSummary, width: float = 344, height: float = 176) -> BandChart:
    """Geometry of one layer curve; probabilities and shares always fill 0..1, other axes start at 0.

    Only a curve that falls below zero, as debiased CKA may, has an axis that does.
    """
    size = max(len(summary.median), 2)
    known = [
        v
        for curve in (summary.median, summary.low, summary.high)
        for v in map(finite, curve)
        if v is not None
    ]
    whole = summary.unit == "probability" or is_share(summary.unit)
    top = 1.0 if whole else nice_top(max(known, default=1.0))
    lowest = min(known, default=0.0)
    bottom = -nice_top(-lowest) if lowest < 0 else 0.0
    x, y = _frame(size, top, width, height, bottom)
    return BandChart(
        width=width,
        height=height,
        x_ticks=index_ticks(size - 1, x, 6),
        y_ticks=value_ticks(y, summary.unit),
        x=x,
        y=y,
        median=line(summary.median, x, y),
        band=area(summary.low, summary.high, x, y),
        bars=[],
        last=size - 1,
    )


def bar_chart(values: Sequence[float | None], width: float = 344, height: float = 176) -> BandChart:
    """Geometry of one bar per state, for shares; the axis ends at a round number, at least 10 %."""
    size = max(len(values), 2)
    known = [v for v in map(finite, values) if v is not None]
    top = min(1.0, nice_top(max(0.1, *known, 0.0)))
    x, y = _frame(size, top, width, height)
    slot = (x.end - x.start) / max(1, size - 1)
    wide = round(max(1.0, 0.7 * slot), 1)
    bars = []
    for index, raw in enumerate(values):
        value = finite(raw)
        if value is not None and value > 0:
            at = y(value)
            bars.append((round(x(index) - wide / 2, 1), at, wide, round(y.start - at, 1)))
    return BandChart(
        width=width,
        height=height,
        x_ticks=index_ticks(size - 1, x, 6),
        y_ticks=value_ticks(y, "share"),
        x=x,
        y=y,
        median="",
        band="",
        bars=bars,
        last=size - 1,
    )


@dataclass(frozen=True, slots=True)
class LayerChart:
    """One layer curve with its drawing."""

    title: str
    unit: str
    axis: str
    chart: BandChart


def layer_chart(layer: LayerSummary) -> LayerChart:
    """One layer curve of the document under its heading."""
    title = LAYER_NAMES.get(layer.name, _headed(layer.name))
    # "Probability of the emitted token, probability" would say it twice.
    unit = "" if layer.unit in title.lower() else layer.unit
    return LayerChart(title, unit, layer.axis, band_chart(layer))


def _headed(name: str) -> str:
    """A name as a heading; letters after the first stay, as in "JSD"."""
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]
