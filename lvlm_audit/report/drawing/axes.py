"""Axes of a drawing: linear scales from values to pixels, round ends, ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lvlm_audit.report.words import amount


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


def tick_values(scale: Scale, most: int = 4) -> list[tuple[float, float]]:
    """Round values on a scale, each as (pixel, value); the ends alone where the numbers end."""
    if not math.isfinite(scale.high - scale.low):
        return [(scale(end), end) for end in (scale.low, scale.high)]
    step = nice_step(scale.high - scale.low, most)
    first = math.ceil(scale.low / step - 1e-9)
    last = math.floor(scale.high / step + 1e-9)
    return [(scale(i * step), i * step) for i in range(first, last + 1)]


def value_ticks(scale: Scale, unit: str, most: int = 4) -> list[Tick]:
    """Ticks for values, labelled in their unit."""
    return [Tick(at, amount(value, unit)) for at, value in tick_values(scale, most)]
