"""What a curve does after its rise: where it is lowered (a mutation), where it gains (more rise).

docs/method.md#stages-and-patterns: what had settled is lowered or replaced; a later gain is part of the
rise. Both are held against the level that the curve has kept since it last rose, not against the mean of
all that follows its rise: that mean lies between the two heights of a rise in two steps, where neither is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lvlm_audit.metrics.nodes import MIN_PEAK
from lvlm_audit.metrics.steps import MIN_STAGE, fit_step
from lvlm_audit.stages.readings import Bools, Floats

DEPARTURE = 0.3
"""A curve leaves its level when it moves by this share of its whole rise: three standard deviations where
noise is a tenth of the rise, and the bound on downward movement of a rise is near."""


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """Where each row leaves the level that it has kept for at least `MIN_STAGE` states.

    Attributes:
        lowered: [N, S] states at which the row falls below it.
        gained: [N, S] states at which the row rises above it; the next level begins there.
        ends: [N] one past the last state of the plateau: up to a lower third level, or to the first state
            that is lowered.
    """

    lowered: Bools
    gained: Bools
    ends: npt.NDArray[np.int64]


def moves(curve: Floats) -> Moves:
    """The moves of each row of [N, S] curves."""
    fit = fit_step(curve, rises=True, shortest=MIN_STAGE)
    rows, states = curve.shape
    # A rise in two steps is one rise, up to where the curve holds or ends.
    height = np.maximum(fit.after, curve[:, -1]) - fit.before
    rose = (fit.border > 0) & (fit.step >= MIN_PEAK)
    enough = np.where(rose, DEPARTURE * height, np.inf)
    lowered, gained = (np.zeros(curve.shape, dtype=bool) for _ in range(2))
    total, count = np.zeros(rows), np.zeros(rows)
    below = np.zeros(rows, dtype=bool)
    for j in range(states):
        at = curve[:, j]
        kept = count >= MIN_STAGE
        away = np.where(kept, at - total / np.maximum(count, 1), 0.0)
        was_below, below = below, away <= -enough
        lowered[:, j] = below & ~was_below
        gained[:, j] = up = away >= enough
        # What is lowered leaves the level as it was; what gains begins a new one.
        since = (j >= fit.border) & ~below
        total = np.where(up, at, total + since * at)
        count = np.where(up, 1, count + since)
    left = (fit.border > 0) & (fit.after - fit.later >= DEPARTURE * fit.step)
    first = np.where(lowered.any(axis=1), lowered.argmax(axis=1), states)
    ends = np.asarray(np.minimum(np.where(left, fit.end, states), first), dtype=np.int64)
    return Moves(lowered, gained, ends)
