"""Curves as SVG path data: numbers in, coordinates out. Nothing is judged here.

Coordinates are rounded to a tenth of a pixel: finer cannot be seen and a page of thousands of
curves would pay for it in bytes. A value that does not exist leaves a gap, never a zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lvlm_audit.report.drawing.axes import Scale
from lvlm_audit.report.words import finite


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


def points(
    states: Sequence[int | None], curve: Sequence[float], x: Scale, y: Scale
) -> list[tuple[float, float]]:
    """Where a curve stands at some states; a state without a value has no point."""
    found = []
    for state in states:
        if state is not None and 0 <= state < len(curve):
            value = finite(curve[state])
            if value is not None:
                found.append((x(state), y(value)))
    return found
