"""Geometry of the maps of hidden states: one path a token or image, points coloured by depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lvlm_audit.document import Plane, StateMap
from lvlm_audit.report.drawing.axes import Scale
from lvlm_audit.report.words import clip, token

DEPTHS = 6
"""Colours for the states before the last, which has a mark of its own."""

_NAME = 14
"""Letters of a name."""


@dataclass(frozen=True, slots=True)
class Depth:
    """A band of states of one colour."""

    key: str
    words: str


@dataclass(frozen=True, slots=True)
class PlaneView:
    """One picture."""

    method: str
    note: str
    side: float
    ways: str
    """All paths up to the state before the last, as path data."""
    dots: list[tuple[str, str]]
    """Colour key and path data of its points: each a line without length, drawn as a round mark."""
    last: str
    """Path data of the last states."""
    ends: list[tuple[float, float, str]]
    """Where paths end, and the names of their tokens."""


@dataclass(frozen=True, slots=True)
class MapView:
    """The pictures of one set of states."""

    of: str
    rows: int
    states: int
    probe: str
    depths: list[Depth]
    planes: list[PlaneView]


def map_view(one: StateMap) -> MapView | None:
    """Geometry of the pictures; None where there is nothing to draw."""
    planes = [p for p in one.planes if p.x and all(p.x) and _alike(p)]
    if not planes:
        return None
    states = len(planes[0].x[0])
    return MapView(
        of=one.of,
        rows=len(planes[0].x),
        states=states,
        probe=one.probe,
        depths=_depths(states),
        planes=[_plane(p, one.labels, states) for p in planes if len(p.x[0]) == states],
    )


def _alike(plane: Plane) -> bool:
    sizes = {len(row) for row in [*plane.x, *plane.y]}
    return len(plane.x) == len(plane.y) and len(sizes) == 1


def _bands(states: int) -> list[tuple[int, int]]:
    """First and last state of each colour."""
    count = max(1, min(DEPTHS, states - 1))
    edges = [round(k * (states - 1) / count) for k in range(count + 1)]
    return [(a, b - 1) for a, b in pairwise(edges)]


def _depths(states: int) -> list[Depth]:
    return [
        Depth(f"d{k}", f"state {a}" if a == b else f"states {a}–{b}")
        for k, (a, b) in enumerate(_bands(states))
    ]


def _plane(plane: Plane, labels: Sequence[str], states: int) -> PlaneView:
    side = 500.0
    x, y = Scale(0, 1000, 14, side - 14), Scale(0, 1000, side - 14, 14)
    rows = [
        [(x(a), y(b)) for a, b in zip(xs, ys, strict=True)]
        for xs, ys in zip(plane.x, plane.y, strict=True)
    ]
    # The final norm turns the last state away from its path: it is drawn, not joined.
    paths = [row[:-1] for row in rows]
    return PlaneView(
        method=clip(plane.method, 20),
        note=clip(plane.note, 60),
        side=side,
        ways="".join("M" + "L".join(f"{a:g} {b:g}" for a, b in row) for row in paths),
        dots=[
            (f"d{k}", _marks([p for row in rows for p in row[a : b + 1]]))
            for k, (a, b) in enumerate(_bands(states))
        ],
        last=_marks([row[-1] for row in rows]),
        ends=_ends(paths, labels) if states > 1 else [],
    )


def _ends(
    paths: Sequence[Sequence[tuple[float, float]]], labels: Sequence[str]
) -> list[tuple[float, float, str]]:
    """Names where paths end; one that would lie on another is left out."""
    placed: list[tuple[float, float, str]] = []
    for path, label in zip(paths, labels, strict=False):
        x, y = path[-1]
        if all(abs(x - a) > 7 * _NAME or abs(y - b) > 11 for a, b, _ in placed):
            placed.append((x, y, token(label, _NAME)))
    return placed


def _marks(points: Sequence[tuple[float, float]]) -> str:
    return "".join(f"M{a:g} {b:g}h0" for a, b in points)
