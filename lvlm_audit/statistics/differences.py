"""The difference of two shares of tokens, of whatever images: each image may hold both kinds or one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lvlm_audit.statistics.estimates import Side
from lvlm_audit.statistics.spread import (
    MIN_IMAGES,
    RESAMPLES,
    Floats,
    Spread,
    student_quantile,
)

_ROUNDING = 1e-24
"""A variance up to this is that of equal shares."""


@dataclass(frozen=True, slots=True, eq=False)
class RateDifference:
    """One share minus another, images resampled together, so that what an image does to both cancels.

    As for `ClusterMean`, interval and p-value are the wider of the percentile bootstrap's and Student's t's.
    The t test is linearised: an image's part is its deviation in the one share minus that in the other
    (Cochran 1977, sec. 6.3), with one degree of freedom less than the images of the smaller group. A group in
    which nothing or everything holds has shown no variation; it is given that of its images with one more
    that holds and one that does not (Agresti & Caffo 2000). Shares that vary in step, as of one model asked
    twice, leave no variance either: there one image more may differ.

    Attributes:
        held: [2, n] tokens that hold, by group and image.
        counted: [2, n] tokens that count.
        replicates: [RESAMPLES or fewer] bootstrap replicates, sorted.
    """

    held: Floats
    counted: Floats
    replicates: Floats

    @property
    def n(self) -> int:
        """Images that count."""
        return int(self.held.shape[1])

    @property
    def smaller(self) -> int:
        """Images of the smaller group."""
        return int((self.counted > 0).sum(axis=1).min())

    @property
    def rates(self) -> tuple[float, float]:
        """Both shares."""
        one, other = (self.held.sum(axis=1) / self.counted.sum(axis=1)).tolist()
        return float(one), float(other)

    @property
    def value(self) -> float:
        """The first share minus the second."""
        one, other = self.rates
        return one - other

    def deviation(self, bound: float) -> float:
        """Over sqrt(n) the standard error; it does not depend on the bound."""
        del bound
        return self._error() * math.sqrt(self.n)

    def spread(self, confidence: float) -> Spread:
        """The hull of both intervals, dual to `p_value`; full range below 5 images in either group."""
        drawn = self.replicates.shape[0]
        beyond = math.floor((1 - confidence) / 2 * (1 + drawn)) - 1
        if self.smaller < MIN_IMAGES or beyond < 0:
            return Spread(-1.0, 1.0, confidence, "full range")
        half = student_quantile(confidence, self.smaller - 1) * self._error()
        return Spread(
            max(-1.0, min(self.value - half, float(self.replicates[beyond]))),
            min(1.0, max(self.value + half, float(self.replicates[drawn - 1 - beyond]))),
            confidence,
            "cluster bootstrap and t",
        )

    def p_value(self, side: Side, bound: float) -> float:
        """One-sided p of "the difference does not satisfy `side bound`": the greater of both tests'."""
        from scipy.special import stdtr

        if self.smaller < MIN_IMAGES:
            return 1.0
        beyond = self.replicates < bound if side == ">=" else self.replicates > bound
        resampled = float((1 + np.count_nonzero(beyond)) / (1 + self.replicates.shape[0]))
        above = self.value - bound if side == ">=" else bound - self.value
        return max(resampled, float(stdtr(self.smaller - 1, -above / self._error())))

    def _error(self) -> float:
        """Standard error of the difference."""
        n = self.held.shape[1]
        total = self.counted.sum(axis=1, keepdims=True)
        rate = self.held.sum(axis=1, keepdims=True) / total
        part = (self.held - rate * self.counted) / total
        variance = float(((part[0] - part[1]) ** 2).sum()) * n / max(n - 1, 1)
        for share, counted in zip(rate[:, 0].tolist(), self.counted, strict=True):
            if share in (0.0, 1.0):
                images = int((counted > 0).sum())
                likely = (share * images + 1) / (images + 2)
                variance += likely * (1 - likely) / (images + 2)
        if variance <= _ROUNDING:
            # Both shares vary, but in step: the next image may be the first that differs.
            likely = 1 / (self.smaller + 2)
            variance = likely * (1 - likely) / (self.smaller + 2)
        return math.sqrt(variance)


def rate_difference(
    held: Sequence[Sequence[float]] | Floats,
    counted: Sequence[Sequence[float]] | Floats,
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> RateDifference:
    """The difference of two shares with its bootstrap.

    Args:
        held: [2, n] tokens that hold, by group and image; an image without tokens of a group has 0.
        counted: [2, n] tokens that count.
        seed: of the resampling.
        resamples: number of bootstrap replicates; those that miss a group are dropped.

    Raises:
        ValueError: a group without tokens, or numbers that cannot be counts.
    """
    k, c = np.asarray(held, dtype=np.float64), np.asarray(counted, dtype=np.float64)
    if k.shape != c.shape or k.ndim != 2 or k.shape[0] != 2:
        raise ValueError(f"rate_difference needs [2, n] twice, not {k.shape} and {c.shape}")
    if not (np.isfinite(k) & (k >= 0) & (k <= c)).all() or (c.sum(axis=1) == 0).any():
        raise ValueError("rate_difference needs tokens in both groups, and 0 <= held <= counted")
    n = k.shape[1]
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    tokens = draws @ c.T
    both = (tokens > 0).all(axis=1)
    rates = (draws @ k.T)[both] / tokens[both]
    return RateDifference(k, c, np.sort(rates[:, 0] - rates[:, 1]))
