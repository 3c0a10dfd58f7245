"""Geometry of the small charts: numbers in, SVG coordinates out. Nothing is judged here.

Coordinates are rounded to a tenth of a pixel: finer cannot be seen and a page of thousands of
curves would pay for it in bytes. A value that does not exist leaves a gap, never a zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lvlm_audit.document import Finding, Interval, LayerSummary
from lvlm_audit.report.words import amount, finite, is_share, number


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map from values to pixels; what lies outside is held at the edge.

    Attributes:
        low: value at `start`.
        high: value at `end`.
        start: pixel of `low`.
        end: pixel of `high`; smaller than `start` for an axis that points up.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        if self.high == self.low:
            return round((self.start + self.end) / 2, 1)
        part = min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))
        return round(self.start + part * (self.end - self.start), 1)


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    at: float
    label: str


def nice_step(span: float, most: int) -> float:
    """The smallest of 1, 2, 5 times a power of ten that cuts `span` into at most `most` steps."""
    if span < 1e-300 or not math.isfinite(span):
        return 1.0
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    for factor in (1, 2, 5, 10):
        if factor * power >= rough * (1 - 1e-9):
            return factor * power
    return 10 * power


def nice_top(value: float) -> float:
    """A round number at or above `value`, for the end of an axis."""
    if value < 1e-300 or not math.isfinite(value):
        return 1.0
    step = nice_step(value, 4)
    return step * math.ceil(value / step - 1e-9)


def index_ticks(last: int, scale: Scale, most: int = 8) -> list[Tick]:
    """Ticks for states or transitions 0..last; the last one is always labelled."""
    step = max(1, round(nice_step(last, most)))
    marks = [i for i in range(0, last + 1, step) if last - i >= 0.6 * step] if last else []
    return [Tick(scale(i), str(i)) for i in [*marks, last]]


def value_ticks(scale: Scale, unit: str, most: int = 4) -> list[Tick]:
    """Ticks for values, labelled in their unit."""
    step = nice_step(scale.high - scale.low, most)
    first = math.ceil(scale.low / step - 1e-9)
    last = math.floor(scale.high / step + 1e-9)
    values = [i * step for i in range(first, last + 1)]
    return [Tick(scale(v), amount(v, unit)) for v in values]


def runs(values: Iterable[float | None]) -> list[list[tuple[int, float]]]:
    """The stretches of a curve where values exist, as (index, value)."""
    found: list[list[tuple[int, float]]] = []
    open_run = False
    for index, raw in enumerate(values):
        value = finite(raw)
        if value is None:
            open_run = False
            continue
        if not open_run:
            found.append([])
            open_run = True
        found[-1].append((index, value))
    return found


def _point(x: float, y: float) -> str:
    return f"{x:g} {y:g}"


def line(values: Iterable[float | None], x: Scale, y: Scale) -> str:
    """A curve as path data; a lone value becomes a short dash so that it can be seen."""
    parts = []
    for run in runs(values):
        points = [_point(x(i), y(v)) for i, v in run]
        if len(run) == 1:
            at, value = x(run[0][0]), y(run[0][1])
            points = [_point(at - 2, value), _point(at + 2, value)]
        parts.append("M" + "L".join(points))
    return "".join(parts)


def area(low: Sequence[float | None], high: Sequence[float | None], x: Scale, y: Scale) -> str:
    """The band between two curves as path data, where both exist."""
    size = min(len(low), len(high))
    both = [
        None if finite(low[i]) is None or finite(high[i]) is None else float(i) for i in range(size)
    ]
    parts = []
    for run in runs(both):
        indices = [i for i, _ in run]
        there = [_point(x(i), y(high[i] or 0.0)) for i in indices]
        back = [_point(x(i), y(low[i] or 0.0)) for i in reversed(indices)]
        parts.append("M" + "L".join(there + back) + "Z")
    return "".join(parts)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move labels apart by `gap`, each as near as it can be to its wish, within low..high.

    Neighbours that would touch are pooled and centred on their mean wish: least squares.
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    pools: list[list[float]] = []
    for rank, index in enumerate(order):
        pools.append([wanted[index] - rank * gap, 1.0])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, weight = pools.pop()
            pools[-1] = [
                (pools[-1][0] * pools[-1][1] + mean * weight) / (pools[-1][1] + weight),
                pools[-1][1] + weight,
            ]
    offsets = [mean for mean, weight in pools for _ in range(round(weight))]
    ceiling = high - (len(wanted) - 1) * gap
    placed = [0.0] * len(wanted)
    for rank, index in enumerate(order):
        placed[index] = round(max(low, min(offsets[rank], ceiling)) + rank * gap, 1)
    return placed


@dataclass(frozen=True, slots=True)
class Whisker:
    """A dot with its interval, held against a bound line."""

    width: float
    height: float
    baseline: float
    dot: float | None
    low: float | None
    high: float | None
    bound: float
    holds_from: float
    holds_to: float
    start: float
    end: float
    ticks: list[Tick]
    images: list[float]
    """One mark per image, where they tell more than two groups apart."""


def _domain(values: Sequence[float], unit: str) -> tuple[float, float]:
    low, high = min(0.0, *values), max(0.0, *values)
    if unit == "probability" or is_share(unit):
        return (0.0 if low >= 0 else max(-1.0, -nice_top(-low))), 1.0 if high <= 1 else nice_top(
            high
        )
    # Headroom, so that a bound or an end of the interval does not sit on the edge.
    top = nice_top(1.1 * max(high, -low))
    return (-top if low < 0 else 0.0), (top if high > 0 else 0.0)


def whisker(
    observed: float | None,
    interval: Interval | None,
    bound: float,
    op: str,
    unit: str,
    per_image: Iterable[float] = (),
    width: float = 320,
    *,
    symmetric: bool = False,
) -> Whisker:
    """Geometry of an observed value and its interval against a bound.

    Args:
        observed: the value; None draws no dot.
        interval: its interval; None draws no whisker.
        bound: where the line stands.
        op: ">=" or "<=": which side is shaded; anything else shades nothing.
        unit: decides the axis: shares and probabilities fill 0..1.
        per_image: values of single images, drawn as ticks.
        width: in pixels.
        symmetric: put the bound in the middle, for differences.
    """
    observed = finite(observed)
    ends = [interval.low, interval.high] if interval else []
    known = [v for v in [observed, *ends] if v is not None and math.isfinite(v)]
    low, high = _domain([*known, bound], unit)
    if symmetric:
        high = nice_top(1.1 * max((abs(v - bound) for v in known), default=1.0)) + bound
        low = 2 * bound - high
    x = Scale(low, high, 14, width - 14)
    marks = sorted({x(v) for v in map(finite, per_image) if v is not None})
    return Whisker(
        width=width,
        height=76,
        baseline=38,
        dot=None if observed is None else x(observed),
        low=x(ends[0]) if ends else None,
        high=x(ends[1]) if ends else None,
        bound=x(bound),
        holds_from=x(bound) if op == ">=" else x.start,
        holds_to=x(bound) if op == "<=" else x.end if op == ">=" else x.start,
        start=x.start,
        end=x.end,
        ticks=value_ticks(x, unit),
        images=marks if len(marks) > 2 else [],
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


def point_labels(values: Iterable[float | None]) -> str:
    """Values as compact text for the script's pointer read-out."""
    return " ".join("" if finite(v) is None else number(v, 3) for v in values)
