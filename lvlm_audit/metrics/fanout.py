"""Feature level: the state where tokens or images that lay close together fan out.

The paper's "guitar": a narrow neck of shallow states that all share, and a body that fans out. Here it
is a step of the spread from one level to a wider one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lvlm_audit.metrics.steps import MIN_STAGE, fit_step, step_width, unrest

Reals = npt.NDArray[np.float64]

MAX_NECK = 0.5
"""The neck is at most this share of the body's width, as divergence must fall at least to half."""

MAX_WIDTH = 0.15
"""A step from 25 % to 75 % of its height that takes more than this share of the depth is a ramp."""

MIN_WIDTH = 2
"""States that a step may take in a model however shallow."""

MAX_UNREST = 0.15
"""Neck and body are flat when their standard deviation is at most this share of the step: a ramp that is
cut in two has 0.29, noise of a tenth of the step has 0.1."""


NARROWS = 0.3
"""The body has narrowed again when it lost this share of the step: less is its unrest."""


@dataclass(frozen=True, slots=True, eq=False)
class FanOut:
    """The best neck and body of each row's spread, and what speaks against them.

    Attributes:
        state: [N] first state of the body; NaN where the row does not widen to twice its early width.
        neck: [N] mean spread before it.
        body: [N] mean spread from it on.
        closes: [N] state at which the body narrows again; NaN where it does not.
        flaws: what no step has, in words, and [N] whether the row has it.
    """

    state: Reals
    neck: Reals
    body: Reals
    closes: Reals
    flaws: Mapping[str, npt.NDArray[np.bool_]]

    @property
    def clear(self) -> npt.NDArray[np.bool_]:
        """[N] rows that fan out without any flaw."""
        flawed = np.stack([*self.flaws.values()]).any(axis=0)
        return np.asarray(~np.isnan(self.state) & ~flawed)

    def common_flaw(self) -> str | None:
        """The first flaw that more than half of the rows that widen have, or None."""
        widen = ~np.isnan(self.state)
        return next(
            (words for words, has in self.flaws.items() if widen.any() and has[widen].mean() > 0.5),
            None,
        )


def fan_out(spread: npt.NDArray[np.floating]) -> FanOut:
    """Fit a narrow and a wide level to each row and see whether it is a step.

    State 0 is left out: it says which token was read, not what the model made of it (for images at a
    common step it is one and the same embedding). State L is left out: it alone has passed the final norm,
    whose weights turn it. Both remain in the picture.

    Args:
        spread: [N, S] spread by state, any scale that starts at 0.

    Returns:
        The fit of each row. Rows with fewer than 4 states between the first and the last, or with an
        undefined one among them, do not fan out.
    """
    rows, states = spread.shape
    inner = np.asarray(spread, dtype=np.float64)[:, 1:-1]
    if inner.shape[1] < 2 * (MIN_STAGE - 1):
        nothing = np.full(rows, np.nan)
        return FanOut(nothing, nothing, nothing, nothing, {"": np.zeros(rows, dtype=bool)})
    known = np.asarray(np.isfinite(inner).all(axis=1))
    inner = np.where(known[:, None], inner, 0.0)
    fit = fit_step(inner, rises=True, shortest=MIN_STAGE)
    widens = (fit.border > 0) & (fit.step > 0) & (fit.before <= MAX_NECK * fit.after)
    first, second = unrest(inner, fit, soft=True)
    width = step_width(inner, fit)
    widest = max(MIN_WIDTH, MAX_WIDTH * (states - 1))
    ends = fit.end < inner.shape[1]
    narrows = fit.after - fit.later >= NARROWS * fit.step
    half_way = (fit.before + fit.after) / 2
    return FanOut(
        state=np.where(widens, fit.border + 1.0, np.nan),
        neck=np.where(widens, fit.before, np.nan),
        body=np.where(widens, fit.after, np.nan),
        closes=np.where(widens & ends & narrows, fit.end + 1.0, np.nan),
        flaws={
            "it is wide from the beginning": fit.border < MIN_STAGE - 1,
            "it widens only at the very end": fit.end - fit.border < MIN_STAGE,
            "it widens gradually, without a border": width > widest,
            "its neck is not of one width": first > MAX_UNREST,
            "its body is not of one width": second > MAX_UNREST,
            "it widens and closes again": ends & (fit.later < half_way),
        },
    )
