"""The published heat map's view: each transition by its own largest value. NumPy only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def scaled_by_transition(divergence: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Each transition divided by its own maximum over the tokens of one answer.

    This is how the paper's figure is drawn (docs/method.md#scaled-heat-maps). Every column then
    reaches 1, however quiet it is, so columns cannot be compared with one another.

    Args:
        divergence: [T, L] of one answer, >= 0, any unit; NaN where there is no value.

    Returns:
        [T, L] in [0, 1]; 0 in a column that is 0 throughout, NaN where there is no value.
    """
    values = np.asarray(divergence, dtype=np.float64)
    top = np.fmax.reduce(values, axis=0)
    scaled = np.where(np.isnan(values), np.nan, 0.0)
    return np.divide(values, top, out=scaled, where=top > 0)
