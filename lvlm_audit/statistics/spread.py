"""Intervals, and the quantiles that they are made of."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MIN_IMAGES = 5
"""Below this an interval is the full range: a bootstrap of one image has zero width and means nothing."""

RESAMPLES = 4000

STANDARD = NormalDist()


def normal_quantile(confidence: float) -> float:
    """Two-sided quantile of the standard normal distribution: 1.96 for 0.95."""
    return STANDARD.inv_cdf(0.5 + confidence / 2)


def student_quantile(confidence: float, freedom: int) -> float:
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
