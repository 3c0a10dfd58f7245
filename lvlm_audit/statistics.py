"""Statistics over images: resampling, intervals, and the correction for a family of checks.

Layers of one token are dependent, and so are tokens of one image, so the unit that is resampled is
always the image (cluster), never the layer or the token (METHOD.md, "Statistics"). `scipy.stats` takes a
second to import; the normal distribution is in the standard library, Student's t in `scipy.special`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MIN_IMAGES = 5
"""Below this an interval is the full range: a bootstrap of one image has zero width and means nothing."""

RESAMPLES = 4000

Side = Literal[">=", "<="]

_STANDARD = NormalDist()


def _z(confidence: float) -> float:
    """Two-sided quantile of the standard normal distribution: 1.96 for 0.95."""
    return _STANDARD.inv_cdf(0.5 + confidence / 2)


def _t(confidence: float, freedom: int) -> float:
    """Two-sided quantile of Student's t: 2.78 for 0.95 and 4 degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + confidence / 2))


@dataclass(frozen=True, slots=True)
class Spread:
    """An interval around an estimate.

    Attributes:
        low: lower end.
        high: upper end.
        confidence: two-sided level.
        method: "wilson", "cluster bootstrap and t", "cluster bootstrap" (of a median) or "full range".
    """

    low: float
    high: float
    confidence: float
    method: str


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
        z2 = _z(confidence) ** 2
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
        return _STANDARD.cdf(-z if side == ">=" else z)


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
        t2 = _t(confidence, self.n - 1) ** 2 / self.n
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


Estimate = ShareOfImages | ClusterMean


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


def images_to_decide(estimate: Estimate, bound: float, confidence: float) -> int | None:
    """About how many images would decide, if the observed value and its variation stay.

    An interval's half width shrinks with the square root of the number of images.

    Args:
        estimate: undecided so far.
        bound: what it is held against.
        confidence: two-sided level of its interval.

    Returns:
        Images, more than there are and at least `MIN_IMAGES`; None where the value lies on the
        bound: no number decides that.
    """
    distance = abs(estimate.value - bound)
    if isinstance(estimate, ShareOfImages):
        # At the bound, as the score interval has it (Wilson 1927).
        deviation = math.sqrt(max(bound * (1 - bound), 0.0))
    else:
        deviation = estimate.deviation(bound)
    if distance <= 1e-9 * max(abs(bound), deviation, 1e-9):
        return None
    ratio = (deviation / distance) ** 2
    needed = max(MIN_IMAGES, estimate.n + 1, math.ceil(_z(confidence) ** 2 * ratio))
    if isinstance(estimate, ShareOfImages):
        return needed
    # Student's t asks for a few more. The bootstrap's own tails may ask for one more than t.
    while needed < _t(confidence, needed - 1) ** 2 * ratio:
        needed += 1
    return needed


def median_over_images(
    values: Floats, clusters: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], Floats]:
    """Per-image medians of per-token values; NaN tokens are not counted.

    Args:
        values: [N] one value a token, NaN where undefined.
        clusters: [N] the token's image.

    Returns:
        The images that have at least one defined token, and their medians.
    """
    defined = ~np.isnan(values)
    names, index = np.unique(clusters[defined], return_inverse=True)
    # By image, then by value: an image's median is in the middle of its run.
    order = np.lexsort((values[defined], index))
    ranked = values[defined][order]
    count = np.bincount(index, minlength=len(names))
    start = np.cumsum(count) - count
    medians = (ranked[start + (count - 1) // 2] + ranked[start + count // 2]) / 2
    return names, np.asarray(medians, dtype=np.float64)


def bootstrap_median(
    medians: Floats, *, confidence: float, seed: int, resamples: int = RESAMPLES
) -> Spread | None:
    """Percentile interval of the median over images; None below 5 images."""
    n = medians.shape[0]
    if n < MIN_IMAGES:
        return None
    index = np.random.default_rng(seed).integers(0, n, size=(resamples, n))
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.median(medians[index], axis=1), [tail, 1 - tail])
    return Spread(float(low), float(high), confidence, "cluster bootstrap")


def bootstrap_difference(
    one: Floats,
    two: Floats,
    *,
    statistic: Literal["median", "mean"],
    support: tuple[float, float],
    confidence: float,
    seed: int,
    resamples: int = RESAMPLES,
) -> Spread:
    """Percentile interval of a difference between two independent samples of units, one minus two.

    Both samples are resampled by themselves (Efron & Tibshirani 1993, section 8.3): the units of one
    are not those of the other.

    Args:
        one: [n] one value a unit.
        two: [m] the same of the other sample.
        statistic: of each sample.
        support: values that a unit can take, (low, high).
        confidence: two-sided level.
        seed: of the resampling.
        resamples: number of bootstrap replicates.

    Returns:
        The interval; every difference that the support allows where a sample has fewer than
        `MIN_IMAGES` units.
    """
    if min(one.shape[0], two.shape[0]) < MIN_IMAGES:
        width = support[1] - support[0]
        return Spread(-width, width, confidence, "full range")
    random = np.random.default_rng(seed)
    reduce = np.median if statistic == "median" else np.mean
    first, second = (
        reduce(
            sample[random.integers(0, sample.shape[0], size=(resamples, sample.shape[0]))], axis=1
        )
        for sample in (one, two)
    )
    tail = (1 - confidence) / 2
    low, high = np.quantile(first - second, [tail, 1 - tail])
    return Spread(float(low), float(high), confidence, "cluster bootstrap")


def holm_levels(p_values: Sequence[float], alpha: float, family: int) -> list[float]:
    """The one-sided level at which each member of a family is tested (Holm 1979, step-down).

    A member is decided when its p is at most its level. Sorted by p, the r-th (from 0) is tested at
    alpha / (family - r); the first that is not decided stops the descent, and it and all after it
    keep that level, so that an interval at this level leads to the same verdict.

    Args:
        p_values: of the members that could be tested.
        alpha: one-sided family-wise error rate.
        family: size of the declared family, at least len(p_values): a member that could not be
            tested still counts, so that leaving checks out changes no verdict.

    Returns:
        Levels in the order of `p_values`.
    """
    levels = [alpha / family] * len(p_values)
    current = alpha / family
    stopped = False
    for r, i in enumerate(sorted(range(len(p_values)), key=lambda k: p_values[k])):
        if not stopped:
            current = alpha / (family - r)
            stopped = p_values[i] > current
        levels[i] = current
    return levels


def fold_of(clusters: Sequence[str] | npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Deterministic halves of the images: 0 or 1 for each entry, balanced over distinct clusters.

    Nodes are located on one half and tested on the other (METHOD.md, "Circularity").
    """
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    del names
    return np.asarray(index % 2, dtype=np.int64)
