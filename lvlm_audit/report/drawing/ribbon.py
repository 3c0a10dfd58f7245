"""The stage ribbon: states 0..L as bands of the three stages, level by level.

Where a level shows no such pattern, the ribbon says so in words instead of colouring what is not
there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lvlm_audit.document import Level, Node, Stage, StageReading
from lvlm_audit.report.drawing.axes import Scale, Tick, index_ticks
from lvlm_audit.report.words import finite, node_words, number

STAGE_KEYS = {
    Stage.RAPID_EVOLUTION: "rapid",
    Stage.STABILIZATION: "stable",
    Stage.MUTATION: "mutation",
    Stage.WHOLE_ANSWER: "answer",
}
"""Short names for CSS classes and script."""

_WITHOUT_BANDS = {"no such pattern", "inconclusive", "not measured"}
_OPEN_ENDED = {"rise only", "fan-out"}
"""Patterns that say where a stage ends, and nothing of what follows."""


@dataclass(frozen=True, slots=True)
class Band:
    """Consecutive states that belong to one stage; `first` and `last` are states."""

    stage: Stage
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Block:
    """A band as drawn."""

    key: str
    x: float
    width: float
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A node as drawn, with the ends of its interval where there is one."""

    kind: str
    x: float
    y: float
    low: float | None
    high: float | None
    words: str


@dataclass(frozen=True, slots=True)
class Row:
    """One level of evidence."""

    name: str
    y: float
    blocks: list[Block]
    mutated: list[tuple[float, float]]
    marks: list[Mark]
    words: str
    """Said inside the empty band where there is nothing to colour."""


@dataclass(frozen=True, slots=True)
class Ribbon:
    """The drawing."""

    width: float
    height: float
    start: float
    end: float
    band: float
    rows: list[Row]
    ticks: list[Tick]
    axis: float
    labels_above: bool


def bands(level: Level, blocks: int, critical: float | None = None) -> list[Band]:
    """The stages of one level as consecutive states; empty where its pattern names none.

    Args:
        level: the reading of the level.
        blocks: L.
        critical: the model's critical layer, where the audit states it; else the level's node.
    """
    if not level.measured or level.pattern in _WITHOUT_BANDS:
        return []
    if critical is None and level.critical is not None:
        critical = level.critical.state
    critical = finite(critical)
    if critical is None:
        return []
    # A node between two states (a median of 23.5) begins its stage at the next whole state.
    turn = min(blocks, max(0, math.ceil(critical)))
    found = [Band(Stage.RAPID_EVOLUTION, 0, turn - 1)] if turn > 0 else []
    if level.pattern in _OPEN_ENDED:
        return found
    late = [s for s in level.mutation_states if turn <= s <= blocks]
    first = min(late) if late and level.pattern == "three stages" else blocks + 1
    if first > turn:
        found.append(Band(Stage.STABILIZATION, turn, first - 1))
    if first <= blocks:
        found.append(Band(Stage.MUTATION, first, blocks))
    return found


def band_words(found: list[Band]) -> str:
    """The bands in words: "rapid evolution 0–23, stabilization 24–27, mutation 28–30"."""
    return ", ".join(
        f"{band.stage} {band.first}" + (f"–{band.last}" if band.last > band.first else "")
        for band in found
    )


def stage_starts(stages: StageReading) -> tuple[list[Band], Level | None]:
    """The bands of the leading level, by which other charts shade their background."""
    lead = next((level for level in stages.levels if level.name == "probability"), None)
    if lead is None:
        return [], None
    return bands(lead, stages.blocks, stages.critical_layer), lead


def ribbon(stages: StageReading, width: float) -> Ribbon:
    """Geometry of the ribbon, `width` pixels wide; below 600, levels are named above their bands."""
    above = width < 600
    gutter, band, gap = (8.0, 26.0, 50.0) if above else (112.0, 30.0, 36.0)
    cell = (width - gutter - 8) / (stages.blocks + 1)
    # A state is a cell, and a node sits in the middle of its cell.
    middle = Scale(0, max(1, stages.blocks), gutter + cell / 2, width - 8 - cell / 2)
    edge = Scale(0, stages.blocks + 1, gutter, width - 8)
    top = 38.0 if above else 26.0
    rows = []
    for place, level in enumerate(stages.levels):
        y = top + place * (band + gap)
        own = stages.critical_layer if level.name == "probability" else None
        found = bands(level, stages.blocks, own)
        blocks = []
        for one in found:
            x, wide = edge(one.first), round(edge(one.last + 1) - edge(one.first), 1)
            fits = wide > 7.5 * len(one.stage)
            blocks.append(Block(STAGE_KEYS[one.stage], x, wide, str(one.stage) if fits else ""))
        drawn = {one.stage for one in found}
        mutated = [
            (edge(s), round(cell, 1))
            for s in level.mutation_states
            if Stage.MUTATION in drawn and 0 <= s <= stages.blocks
        ]
        marks = [
            _mark(kind, node, middle, y - 7 if kind == "critical" else y + band + 8)
            for kind, node in (
                ("onset", level.onset),
                ("critical", level.critical),
                ("settle", level.settle),
            )
            if node is not None and node.state is not None
        ]
        words = "" if found else (level.pattern if level.measured else "not measured")
        rows.append(Row(level.name, y, blocks, mutated, marks, words))
    axis = top + max(0, len(rows) - 1) * (band + gap) + band + 18
    return Ribbon(
        width=width,
        height=axis + 36,
        start=gutter,
        end=width - 8,
        band=band,
        rows=rows,
        ticks=index_ticks(stages.blocks, middle, 8 if above else 16),
        axis=axis,
        labels_above=above,
    )


def _mark(kind: str, node: Node, x: Scale, y: float) -> Mark:
    interval = node.interval
    return Mark(
        kind=kind,
        x=x(node.state or 0.0),
        y=y,
        low=x(interval.low) if interval else None,
        high=x(interval.high) if interval else None,
        words=f"{kind} {number(node.state)}" if interval is None else f"{kind} {node_words(node)}",
    )
