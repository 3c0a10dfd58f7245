"""Medians over images, and how far two of them lie apart."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lvlm_audit.statistics.spread import MIN_IMAGES, RESAMPLES, Floats, Spread


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
