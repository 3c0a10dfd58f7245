"""Paired changes of means over images, and of rates of what is counted on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lvlm_audit.statistics.estimates import ClusterMean
from lvlm_audit.statistics.paired import Tolerance, images_unchanged, unseen
from lvlm_audit.statistics.spread import (
    MIN_IMAGES,
    RESAMPLES,
    Floats,
    Spread,
    student_quantile,
)

_LINE = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True, eq=False)
class MeanChange:
    """A mean over images, or a ratio of sums over images, now and before, on the same images.

    A tolerance is a line: `now - scale * before` is one linearised mean over the images, so that the
    parent's own sampling error counts where the tolerance is a share of its value. Four tests have to
    decide, and p is the greatest: Student's t and the bootstrap (as in `ClusterMean`), Student's t corrected
    for skewness, and `unseen`. The last is for what no variation among the images can say: that a kind of
    image was not among them. To exclude a loss, it asks whether there may be images that lose as much as
    the parent has (what should stay high falls to nothing, what should stay low doubles); to show one,
    whether there may be images that kept their value. So n unchanged images exclude a loss of the share t
    only where (1 - t)^n is small.

    Attributes:
        sums: [2, n] now and before, by image; for a plain mean the image's value.
        weights: [2, n] ones for a plain mean, else how much was counted.
        replicates: [2, R] bootstrap replicates of both ratios, images drawn together.
    """

    sums: Floats
    weights: Floats
    replicates: Floats

    @property
    def n(self) -> int:
        """Images that count, in the smaller of both."""
        return int((self.weights > 0).sum(axis=1).min())

    @property
    def now(self) -> float:
        """The value now."""
        return float(self.sums[0].sum() / self.weights[0].sum())

    @property
    def before(self) -> float:
        """The value before."""
        return float(self.sums[1].sum() / self.weights[1].sum())

    @property
    def value(self) -> float:
        """Now minus before."""
        return self.now - self.before

    def spread(self, confidence: float) -> Spread:
        """The hull of all three tests' intervals; everything below 5 images."""
        mean = self._against(1.0)
        hull = mean.spread(confidence)
        if self.n < MIN_IMAGES or hull.method == "full range":
            return Spread(*_LINE, confidence, "full range")
        share = 1 - ((1 - confidence) / 2) ** (1 / self._images)
        kept, most = (1 - share) * self.value, abs(self.before)
        # Of values that did not fall, unseen images may as well have risen as fallen.
        high = kept if self.value < 0 and mean.deviation(0.0) > 0 else kept + share * most
        low, top = _skewed_interval(mean, confidence)
        return Spread(
            min(hull.low, low, kept - share * most),
            max(hull.high, top, high),
            confidence,
            hull.method,
        )

    def p_shown(self, tolerance: Tolerance) -> float:
        """Of "the loss is within the tolerance": small where a greater loss is shown."""
        if self.n < MIN_IMAGES:
            return 1.0
        mean = self._against(tolerance.scale)
        kept = (1 - tolerance.scale) * self.before
        return max(
            mean.p_value("<=", tolerance.offset),
            _skewed_p(mean, tolerance.offset, -1),
            unseen(mean.value, tolerance.offset, kept, self._images),
        )

    def p_excluded(self, tolerance: Tolerance) -> float:
        """Of "the loss is at least the tolerance": small where such a loss is excluded."""
        if self.n < MIN_IMAGES:
            return 1.0
        mean = self._against(tolerance.scale)
        lost = (1 - tolerance.scale) * self.before - abs(self.before)
        return max(
            mean.p_value(">=", tolerance.offset),
            _skewed_p(mean, tolerance.offset, 1),
            unseen(mean.value, tolerance.offset, lost, self._images),
        )

    def images_to_exclude(self, tolerance: Tolerance, level: float) -> int | None:
        """About how many images would exclude the tolerance if the values and their variation stay."""
        mean = self._against(tolerance.scale)
        gap, size = mean.value - tolerance.offset, abs(self.before)
        room = mean.value - (1 - tolerance.scale) * self.before + size
        deviation = mean.deviation(tolerance.offset)
        if gap <= 1e-9 * max(size, deviation, abs(tolerance.offset)):
            return None
        needed: int = images_unchanged(gap / room, level) if room > 0 else MIN_IMAGES
        # Images of unequal size count as fewer equal ones.
        needed = math.ceil(needed * self.sums.shape[1] / self._images)
        while needed < student_quantile(1 - 2 * level, needed - 1) ** 2 * (deviation / gap) ** 2:
            needed = max(needed + 1, math.ceil(needed * 1.01))
        return needed

    def has_something_to_lose(self, tolerance: Tolerance, level: float) -> bool:
        """Whether a loss of everything, on these images, would be shown; what should stay low can rise."""
        if tolerance.scale > 1:
            return self.n >= MIN_IMAGES
        nothing = np.stack([np.zeros_like(self.sums[1]), self.sums[1]])
        replicates = np.stack([np.zeros_like(self.replicates[1]), self.replicates[1]])
        return MeanChange(nothing, self.weights, replicates).p_shown(tolerance) <= level

    @property
    def _images(self) -> float:
        """Kish's effective number of images of equal weight, in the smaller of both."""
        return float((self.weights.sum(axis=1) ** 2 / (self.weights**2).sum(axis=1)).min())

    def _against(self, scale: float) -> ClusterMean:
        """`now - scale * before`, each image given its part of it."""
        ratio = np.array([[self.now], [self.before]])
        parts = (self.sums - ratio * self.weights) / self.weights.mean(axis=1, keepdims=True)
        if (self.weights == 1).all():
            linear = self.sums[0] - scale * self.sums[1]
        else:
            linear = parts[0] - scale * parts[1] + self.now - scale * self.before
        replicates = np.sort(self.replicates[0] - scale * self.replicates[1])
        return ClusterMean(linear, np.ones_like(linear), replicates, _LINE)


def _skewness(mean: ClusterMean) -> float:
    away = mean.numerator - mean.value
    deviation = float(np.sqrt((away**2).mean()))
    return float((away**3).mean()) / deviation**3


def _skewed_p(mean: ClusterMean, limit: float, sign: int) -> float:
    """Of Student's t after Hall's transformation, which removes the skewness of a mean (Hall 1992).

    A few images that gain a lot, and need not be among these, make t too sure of a loss.
    """
    from scipy.special import stdtr

    deviation, n = mean.deviation(limit), mean.n
    if deviation == 0:
        return 0.0
    skewness, s = _skewness(mean), (mean.value - limit) / deviation
    t = s + skewness * s**2 / 3 + skewness**2 * s**3 / 27 + skewness / (6 * n)
    return float(stdtr(n - 1, -sign * math.sqrt(n) * t))


def _skewed_interval(mean: ClusterMean, confidence: float) -> tuple[float, float]:
    """Where `_skewed_p` turns."""
    deviation, n = mean.deviation(0.0), mean.n
    if deviation == 0:
        return mean.value, mean.value
    skewness = _skewness(mean)
    ends = []
    for t in (1, -1):
        at = t * student_quantile(confidence, n - 1) / math.sqrt(n)
        if abs(skewness) > 1e-6:
            at = 3 / skewness * (float(np.cbrt(1 + skewness * (at - skewness / (6 * n)))) - 1)
        ends.append(mean.value - deviation * at)
    return ends[0], ends[1]


def quantity_change(
    now: Sequence[float] | Floats,
    before: Sequence[float] | Floats,
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> MeanChange:
    """The change of a mean over images.

    Args:
        now: [n] each image's value, less being worse (negate what should stay low).
        before: [n] the parent's values of the same images.
        seed: of the resampling.
        resamples: number of bootstrap replicates.

    Raises:
        ValueError: no image, unequal numbers of images, or a value that is not finite.
    """
    sums = _stacked("quantity_change", now, before)
    return _resampled(sums, np.ones_like(sums), seed, resamples)


def counts_change(
    now: Sequence[float] | Floats,
    before: Sequence[float] | Floats,
    totals: Sequence[float] | Floats,
    totals_before: Sequence[float] | Floats | None = None,
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> MeanChange:
    """The change of a rate of what is counted: words found of words asked for, right words of labelled ones.

    Args:
        now: [n] how many hold in each image now; less is worse, so of wrong words the right ones are given.
        before: [n] how many held before.
        totals: [n] how many count now.
        totals_before: [n] how many counted before; as now where not given.
        seed: of the resampling.
        resamples: number of bootstrap replicates; those without any count are dropped.

    Raises:
        ValueError: nothing to count, unequal numbers of images, or numbers that cannot be counts.
    """
    sums = _stacked("counts_change", now, before)
    of = _stacked("counts_change", totals, totals if totals_before is None else totals_before)
    if of.shape != sums.shape or not ((sums >= 0) & (sums <= of)).all():
        raise ValueError("counts_change needs 0 <= counts <= totals, one of each for every image")
    if (of.sum(axis=1) == 0).any():
        raise ValueError("counts_change needs something to count, both now and before")
    return _resampled(sums, of, seed, resamples)


def _stacked(name: str, now: Sequence[float] | Floats, before: Sequence[float] | Floats) -> Floats:
    one, other = np.asarray(now, dtype=np.float64), np.asarray(before, dtype=np.float64)
    if one.shape != other.shape or one.ndim != 1 or not one.size:
        raise ValueError(
            f"{name} needs [n] twice, of the same images, not {one.shape} and {other.shape}"
        )
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise ValueError(f"{name} needs finite values; give an image without one the worst value")
    return np.stack([one, other])


def _resampled(sums: Floats, weights: Floats, seed: int, resamples: int) -> MeanChange:
    n = sums.shape[1]
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    totals = draws @ weights.T
    both = (totals > 0).all(axis=1)
    return MeanChange(sums, weights, ((draws @ sums.T)[both] / totals[both]).T)
