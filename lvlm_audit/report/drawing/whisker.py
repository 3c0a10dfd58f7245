"""Geometry of a dot with its interval: against a bound line, or small, in a row of a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lvlm_audit.document import Change, Interval
from lvlm_audit.report.drawing.axes import Scale, Tick, nice_top, tick_values, value_ticks
from lvlm_audit.report.words import finite, is_share, number


@dataclass(frozen=True, slots=True)
class Whisker:
    """A dot with its interval, held against a bound line."""

    width: float
    height: float
    baseline: float
    dot: float | None
    low: float | None
    high: float | None
    bound: float | None
    holds_from: float
    holds_to: float
    start: float
    end: float
    ticks: list[Tick]
    images: list[float]
    """One mark per image, where they tell more than two groups apart."""
    zero: float | None = None
    """Where no change at all stands, if that is another place than the bound."""


SHADED = frozenset({">=", "<="})


def _domain(values: Sequence[float], unit: str) -> tuple[float, float]:
    low, high = min([0.0, *values]), max([0.0, *values])
    if unit == "probability" or is_share(unit):
        return (0.0 if low >= 0 else max(-1.0, -nice_top(-low))), 1.0 if high <= 1 else nice_top(
            high
        )
    # Headroom, so that a bound or an end of the interval does not sit on the edge.
    top = nice_top(1.1 * max(high, -low))
    # With nothing but zeros there is an axis all the same.
    return (-top if low < 0 else 0.0), (top if high > 0 or low == 0 else 0.0)


def whisker(
    observed: float | None,
    interval: Interval | None,
    bound: float | None,
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
        bound: where the line stands; None: there is none, and nothing is shaded.
        op: ">=" or "<=": which side is shaded; anything else shades nothing.
        unit: decides the axis: shares and probabilities fill 0..1.
        per_image: values of single images, drawn as ticks.
        width: in pixels.
        symmetric: put the bound in the middle, for differences.
    """
    observed = finite(observed)
    ends = [interval.low, interval.high] if interval else []
    known = [v for v in [observed, *ends] if v is not None and math.isfinite(v)]
    low, high = _domain(known if bound is None else [*known, bound], unit)
    if symmetric and bound is not None:
        high = nice_top(1.1 * max((abs(v - bound) for v in known), default=1.0)) + bound
        low = 2 * bound - high
    x = Scale(low, high, 14, width - 14)
    line = None if bound is None else x(bound)
    marks = sorted({x(v) for v in map(finite, per_image) if v is not None})
    return Whisker(
        width=width,
        height=76,
        baseline=38,
        dot=None if observed is None else x(observed),
        low=x(ends[0]) if ends else None,
        high=x(ends[1]) if ends else None,
        bound=line,
        holds_from=x.start if line is None or op != ">=" else line,
        holds_to=x.start if line is None or op not in SHADED else line if op == "<=" else x.end,
        start=x.start,
        end=x.end,
        ticks=value_ticks(x, unit),
        images=marks if len(marks) > 2 else [],
    )


SMALL_WIDTH = 170


@dataclass(frozen=True, slots=True)
class SmallWhisker:
    """A dot and its interval, without an axis: rows of one measure share their scale."""

    dot: float
    low: float | None
    high: float | None
    start: float
    end: float
    mark: float | None = None
    """Where a value that is compared with stands, such as chance."""
    width: int = SMALL_WIDTH


def small_scale(low: float, high: float) -> Scale:
    """The scale that the rows of one measure share."""
    return Scale(low, high, 6, SMALL_WIDTH - 6)


def small_whisker(
    observed: float | None, interval: Interval | None, scale: Scale, mark: float | None = None
) -> SmallWhisker | None:
    """Geometry of a value and its interval on a shared scale; None where there is no value.

    `mark` is a value to compare with, drawn as a line across.
    """
    observed = finite(observed)
    if observed is None:
        return None
    return SmallWhisker(
        dot=scale(observed),
        low=None if interval is None else scale(interval.low),
        high=None if interval is None else scale(interval.high),
        start=scale.start,
        end=scale.end,
        mark=None if mark is None else scale(mark),
    )


def difference_whisker(
    difference: float | None, interval: Interval | None, unit: str
) -> Whisker | None:
    """Geometry of a difference against none at all; None where there is no difference.

    The line stands at zero, and no side of it is called good.
    """
    if difference is None:
        return None
    if is_share(unit):
        # Differences of shares are points, and not shares of anything.
        difference, unit = 100 * difference, "points"
        if interval is not None:
            low, high = 100 * interval.low, 100 * interval.high
            interval = Interval(low, high, interval.confidence, interval.method, interval.adjusted)
    return whisker(difference, interval, 0.0, "", unit, width=230, symmetric=True)


def change_whisker(change: Change, width: float = 230) -> Whisker | None:
    """Geometry of a change against the change that is tolerated; None where there is no change.

    The shaded side is what is tolerated; shares are in points.
    """
    value, limit = finite(change.change), finite(change.limit)
    if value is None:
        return None
    ends = [] if change.interval is None else [change.interval.low, change.interval.high]
    known = [v for v in [0.0, value, limit, *ends] if v is not None and math.isfinite(v)]
    low, high = min(known), max(known)
    x = Scale(
        -nice_top(-1.1 * low) if low < 0 else 0.0,
        nice_top(1.1 * high) if high > 0 else 0.0,
        14,
        width - 14,
    )
    rate = 100 if is_share(change.unit) else 1
    shaded = (x.start, x.start)
    if limit is not None:
        shaded = (x(limit), x.end) if limit < 0 else (x.start, x(limit))
    return Whisker(
        width=width,
        height=76,
        baseline=38,
        dot=x(value),
        low=x(ends[0]) if ends else None,
        high=x(ends[1]) if ends else None,
        bound=None if limit is None else x(limit),
        holds_from=shaded[0],
        holds_to=shaded[1],
        start=x.start,
        end=x.end,
        ticks=[Tick(at, number(rate * v)) for at, v in tick_values(x)],
        images=[],
        zero=x(0.0),
    )
