"""Halves of the images: nodes are located on one and tested on the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def fold_of(clusters: Sequence[str] | npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Deterministic halves of the images: 0 or 1 for each entry, balanced over distinct clusters.

    Nodes are located on one half and tested on the other (METHOD.md, "Circularity").
    """
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    del names
    return np.asarray(index % 2, dtype=np.int64)
