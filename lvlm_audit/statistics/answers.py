"""The net change of right answers: who is right now and was not, against who was and is no more."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from lvlm_audit.statistics.paired import Tolerance, images_unchanged, unseen
from lvlm_audit.statistics.spread import MIN_IMAGES, Floats, Spread, student_quantile

_MOST_EXACT = 300
"""Pairs up to which the exact test is made; above, the score test's tails are good enough."""

_NUISANCE = 60
"""Values of the nuisance parameter at which the exact test is made."""


@dataclass(frozen=True, slots=True, eq=False)
class NetChange:
    """The change of the share of right answers, paired by probe; probes of one image are dependent.

    Three tests have to decide, and p is the greatest. Tango's score test (1998) of a margin on the
    discordant pairs, with the variance multiplied by the images' design effect, never below 1, and Student's
    t for z. The exact unconditional test of the same statistic (Chan & Zhang 1999): the sum over all
    tables at least as extreme, at the worst value of the nuisance parameter; where images hold several
    probes, of as many independent pairs as the design effect leaves, rounded to the safe side. And `unseen`:
    a kind of image all of whose answers are lost, or none, may not have been among these.

    Attributes:
        gains: [n] answers of each image that are right now and were not.
        losses: [n] answers that were right and are no more.
        probes_each: [n] probes of each image.
        rights: [2, n] right answers of each image, now and before.
    """

    gains: Floats
    losses: Floats
    probes_each: Floats
    rights: Floats

    @property
    def n(self) -> int:
        """Images that count."""
        return int(self.probes_each.shape[0])

    @property
    def probes(self) -> int:
        """Answers that were compared."""
        return int(self.probes_each.sum())

    @property
    def lost(self) -> int:
        """Answers that were right and are no more."""
        return int(self.losses.sum())

    @property
    def gained(self) -> int:
        """Answers that are right and were not."""
        return int(self.gains.sum())

    @property
    def now(self) -> float:
        """Share of right answers now."""
        return float(self.rights[0].sum()) / self.probes

    @property
    def before(self) -> float:
        """Share of right answers before."""
        return float(self.rights[1].sum()) / self.probes

    @property
    def value(self) -> float:
        """Now minus before."""
        return (self.gained - self.lost) / self.probes

    @property
    def design_effect(self) -> float:
        """Variance over that of as many independent pairs, at least 1.

        Few images say little about how alike the probes of one image are, so one more image is thought
        to be there whose answers change together (as in `ClusterMean`).
        """
        whole = float((self.probes_each**2).sum()) / self.probes
        simple = (self.gained + self.lost) / self.probes - self.value**2
        if simple <= 0 or self.n < 2:
            return max(1.0, whole)
        net = self.gains - self.losses - self.value * self.probes_each
        # Both variances without bias, so that images of one probe each have an effect of exactly 1.
        unbiased = self.n / (self.n - 1) * (self.probes - 1) / self.probes
        seen = float((net**2).sum()) * unbiased / (self.probes * simple)
        return max(1.0, (seen * (self.n - 1) + whole) / self.n)

    def spread(self, confidence: float) -> Spread:
        """Where the tests turn; everything below 5 images."""
        level = (1 - confidence) / 2
        if self.n < MIN_IMAGES:
            return Spread(-1.0, 1.0, confidence, "full range")
        low = _turn(lambda at: self._p_above(at) <= level, -1.0, self.value)
        high = _turn(lambda at: self._p_below(at) <= level, 1.0, self.value)
        return Spread(low, high, confidence, "score and exact")

    def p_shown(self, tolerance: Tolerance) -> float:
        """Of "the net loss is within the tolerance": small where a greater loss is shown."""
        return self._p_below(_points(tolerance))

    def p_excluded(self, tolerance: Tolerance) -> float:
        """Of "the net loss is at least the tolerance": small where such a loss is excluded."""
        return self._p_above(_points(tolerance))

    def images_to_exclude(self, tolerance: Tolerance, level: float) -> int | None:
        """About how many images would exclude the tolerance if the shares lost and gained stay."""
        limit = _points(tolerance)
        if self.value <= limit + 1e-9:
            return None
        ratio = max(1.0, float((self.probes_each**2).sum()) * self.n / self.probes**2)
        images = math.ceil(images_unchanged((self.value - limit) / (self.value + 1), level) * ratio)
        variance = _variance(self.gained, self.lost, self.probes, limit) * self.design_effect
        each = self.probes / self.n * (self.value - limit) ** 2
        while images < student_quantile(1 - 2 * level, images - 1) ** 2 * float(variance) / each:
            images += max(1, images // 100)
        return images

    def has_something_to_lose(self, tolerance: Tolerance, level: float) -> bool:
        """Whether a loss of every right answer, on these images, would be shown."""
        lost = self.rights[1]
        nothing = np.zeros_like(lost)
        everything = NetChange(nothing, lost, self.probes_each, np.stack([nothing, lost]))
        return everything.p_shown(tolerance) <= level

    @property
    def _images(self) -> float:
        """Kish's effective number of images of equal size."""
        return self.probes**2 / float((self.probes_each**2).sum())

    def _p_below(self, limit: float) -> float:
        """Of "the change is at least the limit"."""
        if self.n < MIN_IMAGES or not self.value < limit:
            return 1.0
        return max(
            self._score(self.lost, self.gained, -limit),
            self._exact(self.lost, self.gained, -limit),
            unseen(self.value, limit, 0.0, self._images) if limit < 0 else 0.0,
        )

    def _p_above(self, limit: float) -> float:
        """Of "the change is at most the limit"."""
        if self.n < MIN_IMAGES or not self.value > limit:
            return 1.0
        return max(
            self._score(self.gained, self.lost, limit),
            self._exact(self.gained, self.lost, limit),
            unseen(self.value, limit, -1.0, self._images),
        )

    def _score(self, up: int, down: int, limit: float) -> float:
        """Of "(up - down) / probes is at most the limit", by Tango's statistic over the design effect."""
        from scipy.special import stdtr

        variance = _variance(up, down, self.probes, limit) * self.design_effect
        above = (up - down) / self.probes - limit
        if variance <= 0:
            return 0.0 if above > 0 else 1.0
        return float(stdtr(self.n - 1, -above / math.sqrt(variance / self.probes)))

    def _exact(self, up: int, down: int, limit: float) -> float:
        effect = self.design_effect
        pairs = round(self.probes / effect)
        if not MIN_IMAGES <= pairs <= _MOST_EXACT:
            return 0.0 if pairs > _MOST_EXACT else 1.0
        ups, downs = math.floor(up / effect + 1e-9), math.ceil(down / effect - 1e-9)
        return _trinomial(min(ups, pairs), min(downs, pairs - min(ups, pairs)), pairs, limit)


def net_change(
    now: Sequence[bool] | npt.NDArray[np.bool_],
    before: Sequence[bool] | npt.NDArray[np.bool_],
    clusters: Sequence[Hashable] | npt.NDArray[Any],
) -> NetChange:
    """The net change of right answers.

    Args:
        now: [N] by probe, whether the answer is right.
        before: [N] whether the parent's was.
        clusters: [N] the probe's image.

    Raises:
        ValueError: no probe, or unequal numbers of them.
    """
    one, other = np.asarray(now, dtype=bool), np.asarray(before, dtype=bool)
    names = np.asarray(clusters)
    if one.ndim != 1 or not one.size or not one.shape == other.shape == names.shape:
        raise ValueError(
            f"net_change needs [N] thrice, of the same probes, not {one.shape}, {other.shape} and {names.shape}"
        )
    _, index = np.unique(names, return_inverse=True)

    def by_image(counts: npt.NDArray[np.bool_]) -> Floats:
        return np.bincount(index, counts).astype(np.float64)

    return NetChange(
        by_image(one & ~other),
        by_image(other & ~one),
        by_image(np.ones_like(one)),
        np.stack([by_image(one), by_image(other)]),
    )


def _points(tolerance: Tolerance) -> float:
    if tolerance.scale != 1:
        raise ValueError("the change of right answers is held against points, not against a share")
    return tolerance.offset


def _down(up: Any, down: Any, pairs: int, limit: float) -> Any:
    """Likeliest share of pairs that go down, where up minus down is the limit (Tango 1998, eq. 5)."""
    b = -up - down + (2 * pairs - up + down) * limit
    c = -down * limit * (1 - limit)
    root = np.sqrt(np.maximum(b**2 - 8 * pairs * c, 0))
    return np.maximum((root - b) / (4 * pairs), max(0.0, -limit))


def _variance(up: Any, down: Any, pairs: int, limit: float) -> Any:
    """Of one pair's part, at the limit."""
    return np.maximum(2 * _down(up, down, pairs, limit) + limit * (1 - limit), 0)


@lru_cache(maxsize=256)
def _trinomial(up: int, down: int, pairs: int, limit: float) -> float:
    """P of tables at least as extreme as this one, at the worst shares that differ by the limit."""
    from scipy.special import gammaln, xlogy

    ups, downs = np.meshgrid(np.arange(pairs + 1.0), np.arange(pairs + 1.0), indexing="ij")
    inside = ups + downs <= pairs
    ups, downs = ups[inside], downs[inside]

    def statistic(u: Any, d: Any) -> Any:
        above = u - d - pairs * limit
        deviation = np.sqrt(pairs * _variance(u, d, pairs, limit))
        with np.errstate(divide="ignore", invalid="ignore"):
            z = above / deviation
        return np.where(deviation > 0, z, np.where(above > 0, np.inf, -np.inf))

    seen = float(statistic(np.float64(up), np.float64(down)))
    extreme = statistic(ups, downs) >= seen - 1e-9 * max(
        1.0, abs(seen) if math.isfinite(seen) else 1
    )
    ups, downs = ups[extreme], downs[extreme]
    rest = pairs - ups - downs
    ways = gammaln(pairs + 1) - gammaln(ups + 1) - gammaln(downs + 1) - gammaln(rest + 1)
    worst = 0.0
    # The share that changes either way beyond the limit; close to none is where few pairs differ.
    for both in np.linspace(0, 1, _NUISANCE) ** 2 * (1 - abs(limit)) / 2:
        rise, fall = both + max(limit, 0.0), both + max(-limit, 0.0)
        stay = max(0.0, 1 - rise - fall)
        logs = ways + xlogy(ups, rise) + xlogy(downs, fall) + xlogy(rest, stay)
        worst = max(worst, float(np.exp(logs).sum()))
    return min(1.0, worst)


def _turn(decided: Callable[[float], bool], end: float, value: float) -> float:
    """Between an end and the value, the limit closest to the end that is not yet decided."""
    if not decided(end):
        return end
    far, near = end, value
    for _ in range(14):
        middle = (far + near) / 2
        far, near = (middle, near) if decided(middle) else (far, middle)
    return far
