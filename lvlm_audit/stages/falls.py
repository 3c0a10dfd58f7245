"""Neighbour divergence that falls and stays low: a reading of its own beside the strict one.

docs/method.md#stages-and-patterns: everything after lies below everything before, by a margin, at one
place; what comes before may wander and have a hump. Real divergence does. "Three stages" keeps its strict
rule, which asks for a level before the collapse; this reading asks for quartiles alone, so that isolated
bursts and dips leave no mark:

- *low*: the upper quartile of what comes after is at most half of the lower quartile of what came before,
  and the gap between them is a quarter of the distance between the two medians;
- *sharp*: two thirds of that distance lie between the last transitions before the fall and the first ones
  after it, which a ramp, a decay or the flank of a hump does not do.

Located on the typical curve of one half of the images, tested on each image of the other half, and swapped.

The rule holds against curves that tokens or images have of their own (tests/test_falls.py: at most 3 of 1,000
draws of any kind and depth). Against one curve that a whole model shares halves cannot help: at 32 blocks
16 % of humps, 10 % of exponentials of a walk, 6 % of random walks and 2 % of red noise "fall and stay low" in
every image alike. So this names a shape, and proves no stages.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lvlm_audit.metrics.steps import MIN_STAGE
from lvlm_audit.stages.levels import MAX_LOW, TRANSFER, too_little
from lvlm_audit.stages.readings import (
    FALLS_AND_STAYS_LOW,
    NO_PATTERN,
    Bools,
    Floats,
    LevelReading,
)
from lvlm_audit.stages.summary import Images
from lvlm_audit.statistics import fold_of

MIN_GAP = 0.25
"""Least gap between the quartiles, as a share of the distance between the medians."""

SHARP = 2 / 3
"""Least share of that distance which the fall itself takes. An exponential decay has 0.4 to 0.5, whatever
its rate, and a ramp a quarter."""

STRETCH = 2 * MIN_STAGE
"""Transitions that both sides have at least: quartiles of fewer are single values."""


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Each curve [N] at each possible place of the fall [P].

    Attributes:
        low: [N, P] what comes after lies below what came before.
        sharp: [N, P] most of the way is taken there.
        drop: [N, P] height of the fall itself.
        state: [N, P] one past the last transition around it that is above half of the way.
    """

    low: Bools
    sharp: Bools
    drop: Floats
    state: Floats


def fall_width(blocks: int) -> int:
    """Transitions that a fall may take: two of the paper's 32, the same share of a deeper model."""
    return max(2, blocks // 16)


def read_fall(divergence: Floats, images: Images) -> LevelReading:
    """Whether [N, L] neighbour divergence falls and stays low, the terminal transition apart.

    Args:
        divergence: any scale, not negative; columns may be scaled.
        images: the image of each row.
    """
    width = fall_width(images.blocks)
    early = too_little(images)
    if early is not None:
        return LevelReading("distribution", *early)
    if images.blocks - 1 < 2 * STRETCH + width - 1:
        return _none(f"{images.blocks} blocks are too few for quartiles on both sides of a fall.")
    names, index = np.unique(images.of, return_inverse=True)
    curves = images.typical(divergence[:, :-1], rises=False)
    fold = fold_of(names)
    halves = np.stack([np.median(curves[fold == half], axis=0) for half in (0, 1)])
    found = _places(halves, width)
    holds = found.low & found.sharp
    if not holds.any(axis=1).all():
        return _none(
            "In at least one half of the images there is no place after which it is at most half of what it "
            "was, reached by a sharp fall."
        )
    best = np.where(holds, found.drop, -np.inf).argmax(axis=1)
    where = found.state[[0, 1], best]
    if abs(where[0] - where[1]) > width:
        return _none(f"The halves of the images fall at states {where[0]:g} and {where[1]:g}.")
    single = _places(curves, width)
    near = np.abs(single.state - where[1 - fold][:, None]) <= width
    own = single.low & near
    has = np.asarray(own.any(axis=1))
    share = min(float(has[fold == half].mean()) for half in (0, 1))
    if share < TRANSFER:
        return _none(
            f"Located on one half of the images, the fall is found in {share:.0%} of the other half only "
            f"(at least {TRANSFER:.0%})."
        )
    place = np.where(own, single.drop, -np.inf).argmax(axis=1)
    states = np.where(has, single.state[np.arange(len(names)), place], np.nan)
    node = images.node(states[index])
    return LevelReading(
        "distribution",
        FALLS_AND_STAYS_LOW,
        f"Neighbour divergence falls at state {node.state:g} of {images.blocks} within {width} transitions "
        f"and stays low: three quarters of what comes after lie below half of the lower quartile of what "
        f"came before. Located on one half of the images, this holds within {width} states of there in "
        f"{share:.0%} of the other half. A shape, no stages: before the fall there need be no level.",
        critical=node,
    )


def _none(why: str) -> LevelReading:
    return LevelReading(
        "distribution", NO_PATTERN, f"Neighbour divergence does not fall and stay low. {why}"
    )


def _places(curves: Floats, width: int) -> _Places:
    between = width - 1
    points = curves.shape[1]
    low, sharp, drop, state = [], [], [], []
    for c in range(STRETCH, points - STRETCH - between + 1):
        before, after = curves[:, :c], curves[:, c + between :]
        high, usual = np.quantile(before, [0.25, 0.5], axis=1)
        quiet, top = np.quantile(after, [0.5, 0.75], axis=1)
        last = np.median(before[:, -MIN_STAGE:], axis=1)
        first = np.median(after[:, :MIN_STAGE], axis=1)
        low.append((high > 0) & (top <= MAX_LOW * high) & (high - top >= MIN_GAP * (usual - quiet)))
        sharp.append(last - first >= SHARP * (usual - quiet))
        drop.append(last - first)
        # Medians of three do not tell one transition from the next; half of the way does.
        begin = c - MIN_STAGE
        around = curves[:, begin : c + between + MIN_STAGE] > ((usual + quiet) / 2)[:, None]
        state.append(begin + np.where(around, np.arange(1, around.shape[1] + 1), 0).max(axis=1))
    return _Places(
        np.stack(low, axis=1),
        np.stack(sharp, axis=1),
        np.stack(drop, axis=1),
        np.stack(state, axis=1).astype(np.float64),
    )
