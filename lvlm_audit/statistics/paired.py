"""What every paired change can say: how much was lost, whether that is shown, and whether it is excluded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from lvlm_audit.statistics.spread import MIN_IMAGES, Spread


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much may be lost: on the line `now = scale * before + offset` it is just the tolerated loss.

    Attributes:
        scale: of the value before; 1 for an absolute tolerance.
        offset: 0 for a tolerance that is a share of the value before.
    """

    scale: float
    offset: float

    @classmethod
    def drop(cls, share: float) -> Tolerance:
        """A share of a value that should stay high: 0.2 allows 5 bits to become 4."""
        return cls(1 - _positive(share), 0.0)

    @classmethod
    def rise(cls, share: float) -> Tolerance:
        """A share of a value that should stay low and was negated: 0.2 allows -5 bits to become -6."""
        return cls(1 + _positive(share), 0.0)

    @classmethod
    def points(cls, points: float) -> Tolerance:
        """An absolute tolerance: 0.05 allows a rate of 0.90 to become 0.85."""
        return cls(1.0, -_positive(points))

    @property
    def size(self) -> float:
        """The share or the points."""
        return abs(1 - self.scale) - self.offset


NOTHING = Tolerance(1.0, 0.0)
"""Nothing is tolerated: the line on which nothing is lost."""


def _positive(size: float) -> float:
    if not 0 < size < math.inf:
        raise ValueError(f"a tolerance must be above 0, not {size}")
    return size


class Change(Protocol):
    """The change of one thing from `before` to `now` on the same images. Less is worse.

    Both p-values are one-sided. The loss is shown, or excluded, where the p is at most the level.
    """

    @property
    def n(self) -> int:
        """Images that count."""

    @property
    def now(self) -> float:
        """The value now."""

    @property
    def before(self) -> float:
        """The value before."""

    @property
    def value(self) -> float:
        """Now minus before: negative where something was lost."""

    def spread(self, confidence: float) -> Spread:
        """Interval of `value`."""

    def p_shown(self, tolerance: Tolerance) -> float:
        """Of "the loss is within the tolerance": small where a greater loss is shown."""

    def p_excluded(self, tolerance: Tolerance) -> float:
        """Of "the loss is at least the tolerance": small where such a loss is excluded."""

    def images_to_exclude(self, tolerance: Tolerance, level: float) -> int | None:
        """About how many images would exclude the tolerance if values stay; None where no number would."""

    def has_something_to_lose(self, tolerance: Tolerance, level: float) -> bool:
        """Whether a loss of everything, on these images, would be shown."""


def unseen(value: float, limit: float, other: float, images: float) -> float:
    """P that no image of a kind was drawn, were that kind so frequent as to bring the value to the limit.

    The images that were seen say nothing about a kind of image that was not among them. Where a share
    q of all images is of that kind, n images hold none of it with probability (1 - q)^n: no event in n
    leaves shares up to about 3/n open (rule of three; Hanley & Lippman-Hand 1983, Clopper & Pearson 1934).

    Args:
        value: what was seen.
        limit: what it is held against.
        other: the value of the kind that was not seen.
        images: how many were drawn.

    Returns:
        The p-value: 1 where the value lies on the limit; 0 where images of that kind would not bring it
        there.
    """
    gap, room = value - limit, value - other
    if gap * room <= 0:
        return 1.0 if gap == 0 else 0.0
    return float(max(0.0, 1 - gap / room) ** images)


def images_unchanged(size: float, level: float) -> int:
    """Images that exclude a loss of this share if none changed: (1 - size)^n <= level."""
    if size >= 1:
        return MIN_IMAGES
    return max(MIN_IMAGES, math.ceil(math.log(level) / math.log1p(-size) - 1e-9))
