"""A stage-wise fit: a step from one level to another, and an optional third level that moves back.

Exact least squares over all pairs of borders, which is cheap for L <= 100 (docs/method.md#nodes).
Serves curves over states (where a rise makes the step) and over transitions (where a fall does).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Reals = npt.NDArray[np.float64]

MIN_STAGE = 3
"""States that make a stage between two borders: with fewer, every lone dip would be a stage. Three
states are held together by two transitions."""

SOFT_EDGE = 8
"""One point in this many may be left out beside the step when a stage's flatness is measured: real
steps take a state or two. More than this lets smooth humps pass for plateaus."""

BETWEEN = 0.15
"""A point belongs to neither level when it is further than this share of the step from both."""


@dataclass(frozen=True, slots=True, eq=False)
class StepFit:
    """The best step of each row.

    Attributes:
        border: [T] first point of the second stage; 0 where the row has no step in that direction.
        end: [T] first point of the third stage; n (one past the last point) where there is none.
        before: [T] mean of the first stage.
        after: [T] mean of the second stage.
        later: [T] mean of the third stage; equal to `after` where there is none.
        explained: [T] share of the row's variance that the stages explain; 0 for a constant row.
    """

    border: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    before: Reals
    after: Reals
    later: Reals
    explained: Reals

    @property
    def step(self) -> Reals:
        """[T] height of the step, positive."""
        return np.abs(self.after - self.before)


def fit_step(values: Floats, *, rises: bool, shortest: int) -> StepFit:
    """Fit two or three levels to each row by exact least squares.

    Args:
        values: [T, n] curves, any scale.
        rises: whether the step from first to second stage goes up; else down.
        shortest: points that the second stage has at least when a third follows it.

    Returns:
        The fit of each row.
    """
    rows, n = values.shape
    sign = 1.0 if rises else -1.0
    # Relative to the row's mean, where the whole row sums to zero. Points run along the first axis, so
    # that the ranges of `m` below are contiguous.
    centre = values.mean(axis=1, dtype=np.float64)
    v = sign * (values - centre[:, None]).T
    total = (v**2).sum(axis=0)
    sums = np.concatenate([np.zeros((1, rows)), np.cumsum(v, axis=0)])
    sums[n] = 0.0
    point = np.arange(n + 1, dtype=np.float64)[:, None]
    # The third stage from each m on: its mean, and what it adds. Minimising the squared error is
    # maximising the sum over stages of length * mean^2.
    tail = -sums[:n] / (n - point[:n])
    tail_gain = tail**2 * (n - point[:n])

    # A gain or a step within rounding of nothing is none: constants have no step.
    best = np.maximum(1e-9 * total, 1e-24 * (1 + centre**2))
    least = 1e-9 * np.sqrt(total)
    border = np.zeros(rows, dtype=np.int64)
    end = np.full(rows, n, dtype=np.int64)
    every = np.arange(rows)
    for c in range(1, n):
        head = sums[c] / c
        head_gain = head * sums[c]
        # Two stages are tried before three, so that a tie leaves the third one out.
        gain = np.where(head < -least, head_gain + sums[c] ** 2 / (n - c), -np.inf)
        better = gain > best * (1 + 1e-9)
        best[better], border[better], end[better] = gain[better], c, n
        first = c + shortest
        if first >= n:
            continue
        middle = sums[first:n] - sums[c]
        length = point[first:n] - c
        gains = middle**2 / length
        gains += tail_gain[first:]
        middle /= length
        # The third stage moves back. If it might move on, every soft step would be cut in two.
        gains[(middle <= head + least) | (tail[first:] >= middle - least)] = -np.inf
        pick = gains.argmax(axis=0)
        gain = gains[pick, every] + head_gain
        better = gain > best * (1 + 1e-9)
        best[better], border[better], end[better] = gain[better], c, first + pick[better]
    found = border > 0
    before = sums[border, every] / np.maximum(border, 1)
    after = (sums[end, every] - sums[border, every]) / np.maximum(end - border, 1)
    later = np.where(end < n, -sums[end, every] / np.maximum(n - end, 1), after)
    explained = np.divide(best, total, out=np.zeros(rows), where=found & (total > 0))
    return StepFit(
        border,
        end,
        np.where(found, sign * before, 0.0) + centre,
        np.where(found, sign * after, 0.0) + centre,
        np.where(found, sign * later, 0.0) + centre,
        np.minimum(explained, 1.0),
    )


def unrest(values: Floats, fit: StepFit, *, soft: bool = False) -> tuple[Reals, Reals]:
    """How far each row moves within its first and second stage, as shares of the step.

    A step between two quiet stages gives values near zero. A ramp cut in three gives 0.29 (the standard
    deviation of a uniform distribution), a random walk about as much: they have no stages.

    Args:
        values: [T, n] the rows that were fitted.
        fit: of these rows.
        soft: whether the step may pass through a point on either side of the border that belongs to
            neither level.

    Returns:
        Standard deviations of the first and the second stage over the step, [T] each; NaN for rows
        without a step. One point in `SOFT_EDGE` of each stage is left out beside the step.
    """
    place = np.arange(values.shape[1])[None, :]
    border, end = fit.border[:, None], fit.end[:, None]
    first = place < border - border // SOFT_EDGE
    second = (place >= border + (end - border) // SOFT_EDGE) & (place < end)
    found = (fit.border > 0) & (fit.step > 0)
    if soft:
        height = np.where(found, fit.after - fit.before, 1.0)
        way = (values - fit.before[:, None]) / height[:, None]
        between = (way > BETWEEN) & (way < 1 - BETWEEN)
        # Each stage keeps more points than it needs.
        first &= ~(between & (place == border - 1) & (border > MIN_STAGE + 1))
        second &= ~(between & (place == border) & (end - border > MIN_STAGE + 1))
    result = []
    for stage in (first, second):
        count = np.maximum(stage.sum(axis=1), 1)
        mean = (values * stage).sum(axis=1) / count
        squares = (((values - mean[:, None]) * stage) ** 2).sum(axis=1) / np.maximum(count - 1, 1)
        share = np.full(len(values), np.nan)
        np.divide(np.sqrt(squares), fit.step, out=share, where=found)
        result.append(share)
    return result[0], result[1]


def step_width(values: Floats, fit: StepFit) -> Reals:
    """Points that a step takes from 25 % to 75 % of its height: 1 for a sharp one.

    Args:
        values: [T, n] the rows that were fitted.
        fit: of these rows.

    Returns:
        [T] from the last point at or below 25 % to the first at or above 75 %; NaN without a step.
    """
    n = values.shape[1]
    found = (fit.border > 0) & (fit.step > 0)
    height = np.where(found, fit.after - fit.before, 1.0)
    way = (values - fit.before[:, None]) / height[:, None]
    top = way >= 0.75
    first_top = np.where(top.any(axis=1), top.argmax(axis=1), n)[:, None]
    place = np.arange(n)[None, :]
    last_bottom = np.where((way <= 0.25) & (place < first_top), place, -1).max(axis=1)
    width = (first_top[:, 0] - last_bottom).astype(np.float64)
    return np.where(found, width, np.nan)
