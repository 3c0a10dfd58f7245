"""What every method nominates, one row each, so that their disagreement is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import Method, NominatedSet, PruningPlan

_SIZES = (1, 2, 4, 8, 16)


@dataclass(frozen=True, slots=True)
class Cell:
    """One block in one method's order."""

    rank: int | None
    """1 goes first; None: the method says nothing about it."""
    shade: int
    """0 to 9; 9 goes first."""
    score: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """One method."""

    method: Method
    cells: list[Cell]
    sets: list[NominatedSet | None]
    """Of the sizes that are shown."""


@dataclass(frozen=True, slots=True)
class Nominations:
    """What the template reads."""

    name: ClassVar[str] = "nominations"

    rows: list[Row]
    sizes: list[int]
    blocks: list[int]


def section(plan: PruningPlan) -> Nominations:
    """Arrange the methods."""
    largest = max((len(method.sets) for method in plan.methods), default=0)
    sizes = sorted({size for size in _SIZES if size < largest} | ({largest} if largest else set()))
    return Nominations(
        rows=[
            Row(
                method,
                ranked(method.scores),
                [method.sets[k - 1] if k <= len(method.sets) else None for k in sizes],
            )
            for method in plan.methods
        ],
        sizes=sizes,
        blocks=list(range(plan.depth)),
    )


def ranked(scores: Sequence[float | None]) -> list[Cell]:
    """Ranks of the scores, least first; equal scores in order of depth, deepest first, as sets take them."""
    known = sorted((score, -i) for i, score in enumerate(scores) if score is not None)
    rank = {-negative: place for place, (_, negative) in enumerate(known, start=1)}
    last = max(len(known) - 1, 1)
    return [
        Cell(
            rank.get(i),
            0 if i not in rank else round(9 * (1 - (rank[i] - 1) / last)),
            score,
        )
        for i, score in enumerate(scores)
    ]
