"""Certification: the largest set whose loss stays within the budget, with confidence, on fresh images.

One candidate set a size is fixed by the nomination half, before the certification half is looked at. The
sizes are then tested in order, smallest first, and the first that fails ends it. Such a fixed sequence
keeps the chance that any set is wrongly certified at 5 % without a correction for their number (Maurer,
Hothorn & Lehmacher 1995; Westfall & Krishen 2001): a wrong one is reached only past the first size
whose true loss exceeds the budget, and that test alone is wrong in 5 % of cases.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lvlm_audit.compression.nomination import Blocks, Nomination
from lvlm_audit.statistics import MIN_IMAGES, ClusterMean, Spread

CONFIDENCE = 0.95
"""One-sided, of the upper bound."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """The set of one size that goes into certification.

    Attributes:
        blocks: 0-based, ascending.
        methods: who named it.
        loss: on the nomination half.
    """

    blocks: Blocks
    methods: tuple[str, ...]
    loss: float


def candidates(
    nominations: Sequence[Nomination], losses: Mapping[Blocks, float]
) -> list[Candidate]:
    """Per size the set with the least loss on the nomination half; ties go to the deeper blocks.

    Sizes without a gap from 1 on: a fixed sequence cannot pass over one.

    Args:
        nominations: of all methods.
        losses: of every set that a method names, on the nomination half.
    """
    named: dict[Blocks, list[str]] = {}
    for nomination in nominations:
        for blocks in nomination.sets:
            named.setdefault(blocks, []).append(nomination.method)
    found = []
    for size in range(1, max(map(len, named), default=0) + 1):
        sets = [blocks for blocks in named if len(blocks) == size]
        if not sets:
            break
        best = min(sets, key=lambda blocks: (losses[blocks], tuple(-b for b in blocks)))
        found.append(Candidate(best, tuple(named[best]), losses[best]))
    return found


def upper_bound(loss: ClusterMean) -> Spread:
    """The two-sided interval whose upper end is the one-sided 95 % bound; full range below 5 images."""
    return loss.spread(2 * CONFIDENCE - 1)


def certified(losses: Sequence[ClusterMean], budget: float) -> int:
    """How many blocks may go: sizes in order until the first whose upper bound exceeds the budget.

    Args:
        losses: on the certification half, of the candidates of size 1, 2, ...
        budget: the largest loss that is allowed, in the loss's unit.
    """
    passed = 0
    for loss in losses:
        spread = upper_bound(loss)
        if loss.n < MIN_IMAGES or not math.isfinite(spread.high) or spread.high > budget:
            break
        passed += 1
    return passed
