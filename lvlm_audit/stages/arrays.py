"""Arrays that `find_stages` is given, checked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lvlm_audit.errors import TraceError
from lvlm_audit.stages.readings import Floats


def matrix(name: str, value: npt.ArrayLike, dims: str) -> Floats:
    """A matrix of finite numbers.

    Raises:
        TraceError: it is not; the message names the argument and the first bad value.
    """
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TraceError(f"find_stages: {name} must be numbers [{dims}]: {error}.") from error
    if array.ndim != 2 or array.shape[0] < 1 or array.shape[1] < 2:
        raise TraceError(f"find_stages: {name} must be [{dims}], not {array.shape}.")
    bad = ~np.isfinite(array)
    if bad.any():
        at = [int(i) for i in np.argwhere(bad)[0]]
        raise TraceError(
            f"find_stages: {name}{at} is {array[tuple(at)]}; all values must be finite."
        )
    return array
