"""Distribution level: where neighbour divergence collapses and stays low."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lvlm_audit.metrics.steps import MIN_STAGE, fit_step

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Collapse:
    """A high-then-low fit of each token's neighbour divergence.

    Attributes:
        state: [T] the first state of the low stage, NaN where there is no collapse.
        high: [T] mean divergence before it.
        low: [T] mean divergence after it, a later stage that rises again left out.
        explained: [T] share of the curve's variance that the stages explain.
    """

    state: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    explained: npt.NDArray[np.float64]


def sustained_collapse(
    divergence: Floats, *, min_explained: float = 0.5, max_low: float = 0.5
) -> Collapse:
    """Exact least squares of a step down, with an optional later stage that rises again.

    Of two stages (docs/method.md#nodes) a late burst belongs to neither: left in, it drags the border to
    itself. So a third stage that rises again is fitted jointly, over all pairs of borders.
    The terminal transition L-1 -> L is left out: it is always reported apart.

    Args:
        divergence: [T, L] JSD between neighbouring states, any scale.
        min_explained: below this share of explained variance there is no collapse.
        max_low: the low stage's mean must be at most this share of the high stage's.

    Returns:
        The fit of each token. Fewer than 4 transitions fit nothing: all NaN.
    """
    tokens, transitions = divergence.shape
    if transitions < 4:
        nothing = np.full(tokens, np.nan)
        return Collapse(nothing, nothing.copy(), nothing.copy(), np.zeros(tokens))
    fit = fit_step(divergence[:, :-1], rises=False, shortest=MIN_STAGE - 1)
    holds = (
        (fit.border > 0) & (fit.explained >= min_explained) & (fit.after <= max_low * fit.before)
    )
    state = np.where(holds, fit.border, np.nan).astype(np.float64)
    return Collapse(state, fit.before, fit.after, fit.explained)
