"""SLEB (arXiv 2402.09025): remove the block whose removal costs least, measure anew, repeat."""

from __future__ import annotations

from collections.abc import Callable

from lvlm_audit.compression.nomination import Blocks, Nomination

Measure = Callable[[Blocks], float]
"""The loss of the model without some blocks."""


def sleb(
    loss: Measure, depth: int, most: int, *, enough: float = float("inf"), of: str
) -> Nomination:
    """Greedy elimination: each step tries every block that is left, given that the earlier ones are gone.

    As in the published code the first and the last block stay. SLEB's loss is the perplexity of a
    calibration text; ours is stated in `of`.

    Args:
        loss: of the model without the blocks given.
        depth: L.
        most: blocks to remove at most.
        enough: stop after the first set that loses more.
        of: what the loss is, in words.

    Returns:
        Nested sets; the scores are the losses of single blocks, from the first step.
    """
    chosen: Blocks = ()
    sets: list[Blocks] = []
    scores: list[float | None] = [None] * depth
    for _ in range(min(most, depth - 2)):
        tried = {
            block: loss(tuple(sorted((*chosen, block))))
            for block in range(1, depth - 1)
            if block not in chosen
        }
        if not chosen:
            for block, value in tried.items():
                scores[block] = value
        # Ties go to the deeper block, as everywhere.
        best = min(tried, key=lambda block: (tried[block], -block))
        chosen = tuple(sorted((*chosen, best)))
        sets.append(chosen)
        if tried[best] > enough:
            break
    return Nomination(
        method="SLEB",
        source="Song et al., arXiv 2402.09025",
        definition=f"{of} without the block; sets are grown greedily, each step measured anew",
        unit="loss",
        scores=tuple(scores),
        sets=tuple(sets),
        reason="" if sets else "first and last block stay, and there are no others",
    )
