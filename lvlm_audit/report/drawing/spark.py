"""Geometry of sparklines: a token against its rivals, small enough for a table row."""

from __future__ import annotations

from dataclasses import dataclass

from lvlm_audit.document import TokenReading
from lvlm_audit.report.drawing.axes import Scale
from lvlm_audit.report.drawing.paths import line, points

SPARK_WIDTH, SPARK_HEIGHT = 168, 34


@dataclass(frozen=True, slots=True)
class Spark:
    """A token's probability against its strongest rivals, small enough for a table row."""

    emitted: str
    rivals: list[str]
    node: tuple[float, float] | None
    flips: list[tuple[float, float]]


def spark(one: TokenReading) -> Spark:
    """Geometry of a token's sparkline; every one has the same axes: all states, 0 to 1."""
    x = Scale(0, max(1, len(one.probability) - 1), 3, SPARK_WIDTH - 3)
    y = Scale(0, 1, SPARK_HEIGHT - 4, 4)
    rivals = [r.get("probability") for r in one.rivals[:3]]
    nodes = points([one.critical], one.probability, x, y)
    return Spark(
        emitted=line(one.probability, x, y),
        rivals=[line(r, x, y) for r in rivals if isinstance(r, list)],
        node=nodes[0] if nodes else None,
        flips=points(one.mutations, one.probability, x, y),
    )
