"""What a number of images can decide, before anything is recorded: from the bound and the level alone."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from lvlm_audit.statistics.answers import NetChange, net_change
from lvlm_audit.statistics.changes import quantity_change
from lvlm_audit.statistics.estimates import ShareOfImages, Side
from lvlm_audit.statistics.paired import Change, Tolerance
from lvlm_audit.statistics.spread import MIN_IMAGES

MOST_IMAGES = 2000
"""More are not thought about when images are counted."""


@dataclass(frozen=True, slots=True)
class DecidingNumbers:
    """Which numbers of images that hold decide a share, of n.

    Attributes:
        n: images.
        side: of the bound.
        passes: the number nearest to the bound that passes: at least so many for ">=", at most for "<=";
            None where not even all of them (or none) would.
        fails: the number nearest to the bound that fails; None where no number would.
    """

    n: int
    side: Side
    passes: int | None
    fails: int | None

    def chances(self, share: float) -> Chances:
        """Of a model of which this share of all images holds."""
        from scipy.special import bdtr

        def at_most(k: int) -> float:
            return float(bdtr(k, self.n, share)) if k >= 0 else 0.0

        def chance(number: int | None, side: Side) -> float:
            if number is None:
                return 0.0
            return at_most(number) if side == "<=" else 1 - at_most(number - 1)

        green = chance(self.passes, self.side)
        red = chance(self.fails, "<=" if self.side == ">=" else ">=")
        return Chances(green, red, max(0.0, 1 - green - red))


@dataclass(frozen=True, slots=True)
class Chances:
    """How probable each verdict is.

    Attributes:
        green: of a pass.
        red: of a fail.
        undecided: of neither.
    """

    green: float
    red: float
    undecided: float


def numbers_that_decide(n: int, side: Side, bound: float, level: float) -> DecidingNumbers:
    """Which numbers of n images decide, each at the one-sided level, as a share of images is judged."""
    other: Side = "<=" if side == ">=" else ">="
    return DecidingNumbers(
        n, side, _nearest(n, side, bound, level), _nearest(n, other, bound, level)
    )


def _nearest(n: int, side: Side, bound: float, level: float) -> int | None:
    """The number nearest to the bound that decides for this side; the p falls with every image beyond."""
    if n == 0:
        return None
    beyond = range(n + 1) if side == ">=" else range(n, -1, -1)
    at = bisect_left(
        beyond, True, key=lambda held: ShareOfImages(held, n).p_value(side, bound) <= level
    )
    return beyond[at] if at <= n else None


def images_to_ask(
    side: Side, bound: float, level: float, *, share: float | None = None, chance: float = 0.9
) -> int | None:
    """The least number of images with which a model of this true share passes with this chance.

    Args:
        side: of the bound.
        bound: of the share of images.
        level: one-sided.
        share: of all images; halfway between the bound and the best where not given, since before
            recording nothing is known.
        chance: of a pass.

    Returns:
        Images, from which on more of them never do worse; None where `MOST_IMAGES` are too few.
    """
    true = (bound + (1.0 if side == ">=" else 0.0)) / 2 if share is None else share

    def enough(n: int) -> bool:
        return numbers_that_decide(n, side, bound, level).chances(true).green >= chance

    # The chance is a saw over n; the teeth end long before twice the first number that does.
    first = next((n for n in range(MIN_IMAGES, MOST_IMAGES) if enough(n)), None)
    if first is None:
        return None
    return max((n for n in range(first, 2 * first) if not enough(n)), default=first - 1) + 1


def images_to_show(tolerance: Tolerance, level: float) -> int | None:
    """The least number of images that would show a loss of everything, were all alike.

    Points are held against right answers, one an image; shares against quantities.
    """
    if tolerance.size >= 1:
        return None
    for n in range(MIN_IMAGES, MOST_IMAGES):
        now, before = np.zeros(n, dtype=bool), np.ones(n, dtype=bool)
        lost: Change
        if tolerance.scale == 1:
            lost = net_change(now, before, range(n))
        elif tolerance.scale < 1:
            lost = quantity_change(now, before, seed=0)
        else:
            # What should stay low doubles.
            lost = quantity_change(np.full(n, -2.0), np.full(n, -1.0), seed=0)
        if lost.p_shown(tolerance) <= level:
            return n
    return None


def images_to_exclude(tolerance: Tolerance, level: float) -> int | None:
    """The number of images of which none changed that excludes the tolerated loss.

    Points are held against right answers, one an image; shares against quantities.
    """
    if tolerance.scale != 1:
        same = np.full(MIN_IMAGES, 1.0 if tolerance.scale < 1 else -1.0)
        return quantity_change(same, same, seed=0).images_to_exclude(tolerance, level)

    def unchanged(n: int) -> NetChange:
        return net_change(np.ones(n, dtype=bool), np.ones(n, dtype=bool), range(n))

    needed = unchanged(MIN_IMAGES).images_to_exclude(tolerance, level)
    # What a change says of itself is about right; the exact test may ask for a few more.
    while needed is not None and unchanged(needed).p_excluded(tolerance) > level:
        needed += 1
    return needed
