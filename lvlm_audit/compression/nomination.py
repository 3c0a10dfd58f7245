"""Nominations: what one method says about every block, and which sets it would remove first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Blocks = tuple[int, ...]
"""0-based, ascending."""


@dataclass(frozen=True, slots=True)
class Nomination:
    """One method's answer to the question which blocks could be removed.

    Attributes:
        method: its name, as tables call it.
        source: paper, or "ours".
        definition: what the scores are, exactly, in a sentence.
        unit: of the scores.
        scores: [L] per block, least first to go; None where the method says nothing about it. Empty for
            methods that do not score single blocks.
        sets: the set of each size that it would remove, size 1 first; fewer than asked where it has no more.
        reason: why there are no sets, or nothing was measured; "" otherwise.
    """

    method: str
    source: str
    definition: str
    unit: str
    scores: tuple[float | None, ...] = ()
    sets: tuple[Blocks, ...] = ()
    reason: str = ""


def least(scores: Sequence[float | None], most: int) -> tuple[Blocks, ...]:
    """Nested sets of the blocks with the least scores, sizes 1 to `most`; ties go to the deeper block.

    One block always stays, and blocks without a score are never named.
    """
    known = [(score, -i) for i, score in enumerate(scores) if score is not None]
    order = [-negative for _, negative in sorted(known)]
    size = min(most, len(order), len(scores) - 1)
    return tuple(tuple(sorted(order[:k])) for k in range(1, size + 1))
