"""What one check of the regression family is held against: a paired change and how much may be lost."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from lvlm_audit.document import Interval
from lvlm_audit.statistics import MIN_IMAGES, NOTHING, Change, Tolerance


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
        finer: the same thing counted more finely (words for answers); either shows a loss, each at half the
            level. None: there is no finer count.
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
    finer: Loss | None = None

    @property
    def is_beyond(self) -> bool:
        """Whether what was seen is worse than what is tolerated."""
        return self.value > self.limit if self.rises else self.value < self.limit

    @property
    def p_shown(self) -> float:
        """One-sided p of "nothing was lost"; 1 where what was seen is within the tolerance.

        So red takes both: a loss beyond doubt, and one larger than what is tolerated.
        """
        alone = self.change.p_shown(NOTHING) if self.is_beyond else 1.0
        if self.finer is None:
            return alone
        return min(1.0, 2 * min(alone, self.finer.p_shown))

    @property
    def is_told_by_finer(self) -> bool:
        """Whether the finer count speaks more clearly."""
        if self.finer is None:
            return False
        return self.finer.p_shown < dataclasses.replace(self, finer=None).p_shown

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
        return self.change.has_something_to_lose(NOTHING, level)

    def _told(self, value: float) -> float:
        if not self.rises:
            return value
        return 1 - value if self.rate else -value
