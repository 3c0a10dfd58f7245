"""Geometry of a loss against the number of removed blocks: both halves with intervals, and the budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lvlm_audit.document import CandidateSet, Loss
from lvlm_audit.report.drawing.axes import Scale, Tick, nice_top, value_ticks
from lvlm_audit.report.drawing.paths import line
from lvlm_audit.report.words import is_share

_SHIFT = 5
"""Pixels by which the halves stand beside each other."""


@dataclass(frozen=True, slots=True)
class Stick:
    """A value with its interval."""

    x: float
    y: float
    low: float
    high: float
    cut: bool
    """The interval goes on beyond the axis."""


@dataclass(frozen=True, slots=True)
class Half:
    """One half of the images."""

    sticks: list[Stick]
    path: str


@dataclass(frozen=True, slots=True)
class LossChart:
    """Sizes across, loss upwards."""

    width: float
    height: float
    x: Scale
    y: Scale
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    budget: float
    nomination: Half
    certification: Half


def loss_chart(
    candidates: Sequence[CandidateSet],
    budget: float,
    unit: str,
    *,
    width: float = 620,
    height: float = 300,
) -> LossChart:
    """Geometry of the candidates of size 1, 2, ...

    The axis ends where the largest value and the budget are seen; intervals may go beyond it.
    """
    halves = [[c.nomination for c in candidates], [c.certification for c in candidates]]
    values = [loss.value for half in halves for loss in half]
    ends = [end for half in halves for loss in half if (end := loss.high) is not None]
    top = nice_top(1.05 * max([budget, *values, *(e for e in ends if e <= 2 * max(values))]))
    top = min(top, 1.0) if is_share(unit) else top
    low = min(0.0, *values) if values else 0.0
    x = Scale(0.5, len(candidates) + 0.5, 56, width - 16)
    y = Scale(-nice_top(-low) if low < 0 else 0.0, top, height - 40, 16)
    every = max(1, round(len(candidates) / 16))
    return LossChart(
        width=width,
        height=height,
        x=x,
        y=y,
        x_ticks=[Tick(x(k), str(k)) for k in range(1, len(candidates) + 1, every)],
        y_ticks=value_ticks(y, unit),
        budget=y(budget),
        nomination=_half(halves[0], x, y, -_SHIFT),
        certification=_half(halves[1], x, y, _SHIFT),
    )


def _half(losses: Sequence[Loss], x: Scale, y: Scale, shift: float) -> Half:
    sticks = [
        Stick(
            x=x(size) + shift,
            y=y(loss.value),
            low=y(y.low if loss.low is None else loss.low),
            high=y(y.high if loss.high is None else loss.high),
            cut=loss.high is None or loss.high > y.high,
        )
        for size, loss in enumerate(losses, start=1)
    ]
    moved = Scale(x.low - 1, x.high - 1, x.start + shift, x.end + shift)
    return Half(sticks, line([loss.value for loss in losses], moved, y))
