"""Many means over the same images, with intervals that hold the truth of all of them together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lvlm_audit.statistics.spread import MIN_IMAGES, RESAMPLES, STANDARD, Floats, Spread

_BATCH = 500
"""Resamples at a time, so that memory does not grow with their number."""


@dataclass(frozen=True, slots=True)
class MeanOfMany:
    """One of many means.

    Attributes:
        value: the mean; NaN where no image has a value.
        n: images that have one.
        spread: simultaneous interval; None below `MIN_IMAGES` images, and where their values do not
            vary: equal values are no proof that others would be equal too.
    """

    value: float
    n: int
    spread: Spread | None


def simultaneous(
    differences: Floats, confidence: float, *, seed: int, resamples: int = RESAMPLES
) -> list[MeanOfMany]:
    """Each column's mean and interval; with probability `confidence` all intervals hold their truth.

    The max-t bootstrap with normal multipliers (Westfall & Young 1993, sec. 2.3; Chernozhukov, Chetverikov &
    Kato 2013): each image's deviations are multiplied by one normal number, and the quantile of the greatest
    |sum| / error over the columns says how far out the furthest of them lies by chance. So quantities
    that move together pay for few, unrelated ones for as many as they are. What this leaves to each interval
    alone, between `1 - confidence` and Bonferroni's, is read as Student's t with the column's degrees of
    freedom. Like any t interval it covers too little where few images are heavily skewed.

    Args:
        differences: [n, k] by image and quantity, NaN where an image has no value.
        confidence: two-sided level of all intervals together.
        seed: of the resampling.
        resamples: number of bootstrap replicates.

    Raises:
        ValueError: not [n, k], or infinite values.
    """
    from scipy.special import stdtrit

    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 2 or np.isinf(values).any():
        raise ValueError(
            f"simultaneous needs [images, quantities] without infinities, not {values.shape}"
        )
    there = ~np.isnan(values)
    filled = np.where(there, values, 0.0)
    count = there.sum(axis=0)
    mean = filled.sum(axis=0) / np.maximum(count, 1)
    away = np.where(there, values - mean, 0.0)
    deviation = np.sqrt((away**2).sum(axis=0) / np.maximum(count - 1, 1))
    rounding = 1e-12 * np.abs(filled).max(axis=0, initial=0.0)
    varied = (count >= MIN_IMAGES) & (deviation > rounding)
    error = deviation / np.sqrt(np.maximum(count, 1))
    quantiles = dict.fromkeys(np.flatnonzero(varied).tolist(), 0.0)
    if quantiles:
        level = _level(away[:, varied], confidence, seed, resamples)
        for column in quantiles:
            quantiles[column] = float(stdtrit(count[column] - 1, 1 - level / 2))
    found = []
    for column in range(values.shape[1]):
        at = float(mean[column]) if count[column] else float("nan")
        spread = None
        if column in quantiles:
            half = quantiles[column] * float(error[column])
            spread = Spread(at - half, at + half, confidence, "max-t bootstrap")
        found.append(MeanOfMany(at, int(count[column]), spread))
    return found


def _level(away: Floats, confidence: float, seed: int, resamples: int) -> float:
    """The two-sided level of each interval alone, between (1 - confidence) / k and 1 - confidence."""
    n, k = away.shape
    random = np.random.default_rng(seed)
    furthest = np.empty(resamples)
    error = np.sqrt((away**2).sum(axis=0))
    for start in range(0, resamples, _BATCH):
        size = min(_BATCH, resamples - start)
        moved = random.standard_normal((size, n)) @ away
        furthest[start : start + size] = (np.abs(moved) / error).max(axis=1)
    alpha = 1 - confidence
    level = 2 * STANDARD.cdf(-float(np.quantile(furthest, confidence)))
    return float(min(alpha, max(alpha / k, level)))
