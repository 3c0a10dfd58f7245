"""What one check of the regression family is held against: a paired change and how much may be lost."""

from __future__ import annotations

from dataclasses import dataclass

from lvlm_audit.document import Interval
from lvlm_audit.statistics import MIN_IMAGES, Change, Tolerance


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of how many, now and before."""

    now: int
    of_now: int
    before: int
    of_before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A paired change of which less is worse, and how it is told in the check's own direction.

    Attributes:
        noun: what changed, in words: "right answers".
        change: the statistics of it.
        tolerance: of `change`.
        rises: more is worse; `change` is of the negated value, or of what is left to 1.
        rate: a share, told in points.
        unit: of the value.
        counts: of a share of things that are counted.
        lost: of right answers, those that are no more.
        gained: those that were not.
        worst: ids of probes that changed most for the worse.
        notes: what was counted otherwise than it stands.
    """

    noun: str
    change: Change
    tolerance: Tolerance
    rises: bool
    rate: bool
    unit: str
    counts: Counts | None = None
    lost: int | None = None
    gained: int | None = None
    worst: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def now(self) -> float:
        """The value now."""
        return self._told(self.change.now)

    @property
    def before(self) -> float:
        """The value before."""
        return self._told(self.change.before)

    @property
    def value(self) -> float:
        """Now minus before."""
        return -self.change.value if self.rises else self.change.value

    @property
    def limit(self) -> float:
        """The tolerated change, with its sign."""
        size = self.tolerance.size
        if self.tolerance.scale != 1:
            size *= abs(self.change.before)
        return size if self.rises else -size

    def interval(self, confidence: float) -> Interval | None:
        """Of `value`; None where nothing is known of it."""
        spread = self.change.spread(confidence)
        if spread.method == "full range":
            return None
        ends = (spread.low, spread.high)
        low, high = (-ends[1], -ends[0]) if self.rises else ends
        if self.rate:
            low, high = max(low, -1.0), min(high, 1.0)
        return Interval(low, high, confidence, spread.method, adjusted=True)

    def can_be_shown(self, level: float) -> bool:
        """Whether a loss of everything would be shown; what should stay low can always rise."""
        if self.rises and not self.rate:
            return self.change.n >= MIN_IMAGES
        return self.change.has_something_to_lose(self.tolerance, level)

    def _told(self, value: float) -> float:
        if not self.rises:
            return value
        return 1 - value if self.rate else -value
