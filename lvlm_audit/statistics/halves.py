"""Halves of the images: nodes are located on one and tested on the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def fold_of(clusters: Sequence[str] | npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Halves of the images: 0 or 1 for each entry, balanced over distinct clusters, always the same ones.

    Drawn at random, and not every second image: probe sets often ask their kinds of question in turn, and
    the halves would then be asked different ones. Nodes are located on one half and tested on the other
    (docs/method.md#two-halves-of-the-images).
    """
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    half = np.empty(len(names), dtype=np.int64)
    half[np.random.default_rng(0).permutation(len(names))] = np.arange(len(names)) % 2
    return half[index]
