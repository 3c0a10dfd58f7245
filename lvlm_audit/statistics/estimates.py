"""Shares and means over images, each with its interval and the test that the interval inverts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lvlm_audit.statistics.spread import (
    MIN_IMAGES,
    RESAMPLES,
    STANDARD,
    Floats,
    Spread,
    normal_quantile,
    student_quantile,
)

Side = Literal[">=", "<="]


@dataclass(frozen=True, slots=True)
class ShareOfImages:
    """How many images satisfy something: a binomial share, judged by Wilson's score interval.

    Attributes:
        held: images that satisfy it.
        n: images that count.
    """

    held: int
    n: int

    @property
    def value(self) -> float:
        """The observed share."""
        return self.held / self.n

    def spread(self, confidence: float) -> Spread:
        """Wilson (1927) score interval without continuity correction; full range below 5 images."""
        if self.n < MIN_IMAGES:
            return Spread(0.0, 1.0, confidence, "full range")
        z2 = normal_quantile(confidence) ** 2
        middle = (self.held + z2 / 2) / (self.n + z2)
        half = math.sqrt(z2 * (self.value * (1 - self.value) * self.n + z2 / 4)) / (self.n + z2)
        # Exactly the ends where nothing or everything held; rounding would leave 1e-17.
        low = 0.0 if self.held == 0 else max(0.0, middle - half)
        high = 1.0 if self.held == self.n else min(1.0, middle + half)
        return Spread(low, high, confidence, "wilson")

    def p_value(self, side: Side, bound: float) -> float:
        """One-sided p of "the share does not satisfy `side bound`": the score test.

        Wilson's interval inverts this test, so p is at most (1 - confidence) / 2 exactly where that
        interval's end clears the bound. 1 below 5 images, and for a bound of 0 or 1, which no
        number of images can prove.
        """
        if self.n < MIN_IMAGES:
            return 1.0
        if not 0 < bound < 1:
            return 1.0
        z = (self.value - bound) / math.sqrt(bound * (1 - bound) / self.n)
        return STANDARD.cdf(-z if side == ">=" else z)


@dataclass(frozen=True, slots=True, eq=False)
class ClusterMean:
    """A mean over images, or a ratio of sums over images, judged twice: both tests have to decide.

    The percentile bootstrap alone is overconfident for few images: it resamples the n that there are, so
    it forgets n / (n - 1) and the tails of t, and images that happen to agree leave it no width. Student's
    t alone is symmetric, whatever the skew. So the p-value is the greater of the two, and the interval
    the hull of both (tests/test_coverage.py has the coverage).

    The t test is linearised: deviation_i = numerator_i - value * weight_i (Cochran 1977, sec. 6.3; for a
    plain mean the ordinary t). Where the support is finite its variance at a bound b is scaled by
    (b - low)(high - b), as a share's is: a score test, so that the interval leans away from the end that
    the value is near. For a share of tokens that is Wilson's interval at the effective sample size with
    t for z (Korn & Graubard 1998; Franco et al. 2019).

    Attributes:
        numerator: [n] per image; for a plain mean the image's value.
        weight: [n] per image; ones for a plain mean, token counts for a share of tokens.
        replicates: [RESAMPLES] bootstrap replicates, sorted.
        support: values that the statistic can take, (low, high).
        is_share: of things that hold or do not. Few images say little about how alike the tokens of one
            image are, so one more image is thought to be there whose tokens hold together or not at all.
            Where all tokens or none held, every image is taken for such a one: eight images without a
            mutation do not prove that there is none.
    """

    numerator: Floats
    weight: Floats
    replicates: Floats
    support: tuple[float, float]
    is_share: bool = False

    @property
    def n(self) -> int:
        """Images that count."""
        return int(self.numerator.shape[0])

    @property
    def value(self) -> float:
        """The observed value."""
        return float(self.numerator.sum() / self.weight.sum())

    def deviation(self, bound: float) -> float:
        """Standard deviation of one image's part, were `bound` the truth; over sqrt(n) the standard error."""
        low, high = self.support
        if not math.isfinite(high - low):
            return math.sqrt(self._variance())
        scale = max(bound - low, 0.0) * max(high - bound, 0.0)
        return math.sqrt(self._relative_variance() * scale)

    def spread(self, confidence: float) -> Spread:
        """The hull of both intervals, dual to `p_value`; full range below 5 images."""
        drawn = self.replicates.shape[0]
        # As many replicates lie beyond each end as `p_value` allows at this level, and no more.
        beyond = math.floor((1 - confidence) / 2 * (1 + drawn)) - 1
        if self.n < MIN_IMAGES or beyond < 0:
            return Spread(*self.support, confidence, "full range")
        low, high = self._t_interval(confidence)
        return Spread(
            min(low, float(self.replicates[beyond])),
            max(high, float(self.replicates[drawn - 1 - beyond])),
            confidence,
            "cluster bootstrap and t",
        )

    def p_value(self, side: Side, bound: float) -> float:
        """One-sided p of "the value does not satisfy `side bound`": the greater of both tests'.

        For the bootstrap the replicates beyond the bound; add-one smoothing keeps it above zero
        (Davison & Hinkley 1997, eq. 4.11).
        """
        if self.n < MIN_IMAGES:
            return 1.0
        beyond = self.replicates < bound if side == ">=" else self.replicates > bound
        resampled = float((1 + np.count_nonzero(beyond)) / (1 + self.replicates.shape[0]))
        return max(resampled, self._t_test(side, bound))

    def _variance(self) -> float:
        """Of one image's part in the value; exactly zero where images differ by rounding alone."""
        parts = (self.numerator - self.value * self.weight) / self.weight.mean()
        variance = float((parts**2).sum()) / max(self.n - 1, 1)
        rounding = 1e-12 * float(np.abs(self.numerator).max()) / float(self.weight.mean())
        return variance if variance > rounding**2 else 0.0

    def _relative_variance(self) -> float:
        """The variance over (value - low)(high - value), for a finite support."""
        variance = self._variance()
        low, high = self.support
        room = (self.value - low) * (high - self.value)
        seen = variance / room if variance > 0 and room > 0 else 0.0
        if not self.is_share:
            return seen
        # Of images that hold wholly or not at all: n over Kish's effective number of equal ones.
        whole = self.n * float((self.weight**2).sum()) / float(self.weight.sum()) ** 2
        return whole if seen == 0 else (seen * (self.n - 1) + whole) / self.n

    def _t_test(self, side: Side, bound: float) -> float:
        from scipy.special import stdtr

        above = self.value - bound if side == ">=" else bound - self.value
        deviation = self.deviation(bound)
        if deviation == 0:
            return 0.0 if above >= 0 else 1.0
        return float(stdtr(self.n - 1, -above / deviation * math.sqrt(self.n)))

    def _t_interval(self, confidence: float) -> tuple[float, float]:
        """Where `_t_test` turns: a quadratic's roots for a finite support (Wilson 1927)."""
        t2 = student_quantile(confidence, self.n - 1) ** 2 / self.n
        low, high = self.support
        if not math.isfinite(high - low):
            half = math.sqrt(t2 * self._variance())
            return self.value - half, self.value + half
        width = high - low
        share, factor = (self.value - low) / width, t2 * self._relative_variance()
        middle = (share + factor / 2) / (1 + factor)
        half = math.sqrt(factor * (share * (1 - share) + factor / 4)) / (1 + factor)
        if factor == 0:
            return self.value, self.value
        return max(low, low + width * (middle - half)), min(high, low + width * (middle + half))


def cluster_mean(
    values: Sequence[float] | Floats,
    weights: Sequence[float] | Floats | None = None,
    *,
    support: tuple[float, float],
    seed: int,
    is_share: bool = False,
    resamples: int = RESAMPLES,
) -> ClusterMean:
    """A mean over images with its bootstrap.

    Args:
        values: [n] per image. With `weights`, sums over the image's tokens.
        weights: [n] tokens of each image; the estimate is then sum(values) / sum(weights).
        support: values that the statistic can take.
        seed: of the resampling; the same seed and data give the same replicates.
        is_share: as in `ClusterMean`.
        resamples: number of bootstrap replicates.

    Raises:
        ValueError: no image at all, or a value that is not finite.
    """
    numerator = np.asarray(values, dtype=np.float64)
    weight = np.ones_like(numerator) if weights is None else np.asarray(weights, dtype=np.float64)
    if numerator.size == 0 or not np.isfinite(numerator).all():
        raise ValueError("cluster_mean needs at least one image and finite values")
    n = numerator.shape[0]
    # Multinomial counts are the bootstrap's draws, without an index array of n x resamples.
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    total = draws @ weight
    replicates = np.sort((draws @ numerator)[total > 0] / total[total > 0])
    return ClusterMean(numerator, weight, replicates, support, is_share)
