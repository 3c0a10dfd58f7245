"""Distribution level: where neighbour divergence collapses and stays low."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Collapse:
    """A high-then-low fit of each token's neighbour divergence.

    Attributes:
        state: [T] the first state of the low segment, NaN where there is no collapse.
        high: [T] mean divergence before it.
        low: [T] mean divergence after it, late bursts left out.
        explained: [T] share of the curve's variance that the steps explain.
    """

    state: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    explained: npt.NDArray[np.float64]


def sustained_collapse(
    divergence: Floats, *, min_explained: float = 0.5, max_low: float = 0.5
) -> Collapse:
    """Exact least squares of a step down, with an optional late segment that may rise again.

    METHOD.md asks for a two-segment fit. A late burst belongs to neither segment: left in, it drags the
    border to itself. So a third segment may begin in the second half of the depth, and is fitted
    jointly (all pairs of borders are tried; cheap for L <= 100). The terminal transition L-1 -> L is
    left out: it is always reported apart.

    Args:
        divergence: [T, L] JSD between neighbouring states, any scale.
        min_explained: below this share of explained variance there is no collapse.
        max_low: the low segment's mean must be at most this share of the high segment's.

    Returns:
        The fit of each token. Fewer than 4 transitions fit nothing: all NaN.
    """
    tokens, transitions = divergence.shape
    values = divergence[:, :-1].astype(np.float64)
    n = transitions - 1
    nothing = np.full(tokens, np.nan)
    if n < 3:
        return Collapse(nothing, nothing.copy(), nothing.copy(), np.zeros(tokens))
    sums = np.concatenate([np.zeros((tokens, 1)), np.cumsum(values, axis=1)], axis=1)
    total = ((values - values.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    squares = (values**2).sum(axis=1)

    # Minimising the squared error is maximising the segments' sum^2 / length.
    best = np.full(tokens, -np.inf)
    first = np.zeros(tokens, dtype=np.int64)
    third = np.full(tokens, n, dtype=np.int64)
    for c in range(1, n):
        for m in (*range(max(c + 2, n // 2), n), n):
            gain = sums[:, c] ** 2 / c + (sums[:, m] - sums[:, c]) ** 2 / (m - c)
            if m < n:
                gain = gain + (sums[:, n] - sums[:, m]) ** 2 / (n - m)
            falls = sums[:, c] / c > (sums[:, m] - sums[:, c]) / (m - c)
            better = falls & (gain > best + 1e-12)
            best[better], first[better], third[better] = gain[better], c, m
    rows = np.arange(tokens)
    high = sums[rows, first] / np.maximum(first, 1)
    low = (sums[rows, third] - sums[rows, first]) / np.maximum(third - first, 1)
    explained = np.zeros(tokens)
    fitted = (first > 0) & (total > 1e-12)
    explained[fitted] = 1 - np.maximum(squares - best, 0)[fitted] / total[fitted]
    state = np.where(fitted & (explained >= min_explained) & (low <= max_low * high), first, np.nan)
    return Collapse(state.astype(np.float64), high, low, explained)
