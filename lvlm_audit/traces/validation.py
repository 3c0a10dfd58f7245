"""What the arrays of a trace must be like. NumPy only; every message names probe and field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lvlm_audit.errors import TraceError
from lvlm_audit.settings.spelling import spelled

Array = npt.NDArray[Any]

# Rounding of a float32 sum over a vocabulary; anything beyond is a defect, not noise.
_SLACK = 1e-4

_WITHIN_ONE = frozenset(
    {
        "probability",
        "divergence",
        "jsd_to_final",
        "nucleus_mass",
        "top_probs",
        "candidate_probability",
        "distractor",
        "confidence",
    }
)
_NOT_NEGATIVE = frozenset({"rank", "entropy", "kl_to_final", "paper_index"})


def check_shapes(
    where: str,
    arrays: Mapping[str, Array],
    shapes: Mapping[str, tuple[str, ...]],
    sizes: Mapping[str, int],
) -> None:
    """Every array has its declared axes, and an axis has one size in all of them.

    Args:
        where: whose they are, for the message.
        arrays: by field.
        shapes: field -> axes; "L" is one less than "S".
        sizes: of the axes that are known.

    Raises:
        TraceError: one that does not fit.
    """
    known = dict(sizes)
    for name, array in arrays.items():
        dims = shapes[name]
        if not isinstance(array, np.ndarray) or array.ndim != len(dims):
            raise TraceError(
                f"{where}: {name} must be an array [{', '.join(dims)}], "
                f"not {getattr(array, 'shape', type(array).__name__)}."
            )
        for dim, size in zip(dims, array.shape, strict=True):
            if dim == "L":
                dim, size = "S", size + 1
            if known.setdefault(dim, size) != size:
                raise TraceError(
                    f"{where}: {name} has shape {array.shape}, but [{', '.join(dims)}] "
                    f"should have {dim} = {known[dim]} as in the other fields."
                )


def check_candidates(where: str, leader: Array, candidate_ids: Array) -> None:
    """Late mutations are read off the candidates' curves, so every leader needs one.

    Args:
        where: whose they are.
        leader: [T, S].
        candidate_ids: [T, C].

    Raises:
        TraceError: a leader without one.
    """
    known = (leader[:, :, None] == candidate_ids[:, None, :]).any(axis=2)
    if not known.all():
        t, j = (int(i) for i in np.argwhere(~known)[0])
        raise TraceError(
            f"{where}: token {int(leader[t, j])} leads at state {j} of token {t}, but is not among "
            f"candidate_ids[{t}]. Keep every leader as a candidate."
        )


def check_sums(where: str, name: str, sums: Array) -> None:
    """Different tokens' probabilities at one state cannot sum to more than 1.

    Args:
        where: whose they are.
        name: of the field.
        sums: [T, S].

    Raises:
        TraceError: they do.
    """
    if sums.size and sums.max() > 1 + _SLACK:
        t, j = (int(i) for i in np.unravel_index(sums.argmax(), sums.shape))
        raise TraceError(
            f"{where}: {name} of token {t} sum to {sums[t, j]:.6g} at state {j}, but probabilities of "
            f"different tokens sum to at most 1. Record the probe again."
        )


def check_values(where: str, name: str, array: Array) -> None:
    """Finite, and within the range of what the field holds.

    Raises:
        TraceError: a value that is not.
    """
    if array.dtype.kind != "f":
        if name in _NOT_NEGATIVE and array.size and int(array.min()) < 0:
            raise TraceError(f"{where}: {name} is negative ({array.min()}).")
        return
    if name == "distractor":
        # One missing distractor is a whole row of NaN; a NaN inside a row is a defect.
        array = array[~np.isnan(array).all(axis=1)]
    bad = ~np.isfinite(array)
    if name == "log2_probability":
        bad &= ~np.isneginf(array)
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        raise TraceError(
            f"{where}: {name}{list(at)} is {array[at]}. The model's states or weights hold "
            f"non-finite values; try {spelled('dtype', 'float32')}, and look at the checkpoint."
        )
    low = 0.0 if name in _WITHIN_ONE or name in _NOT_NEGATIVE else -np.inf
    high = 1.0 if name in _WITHIN_ONE else np.inf
    if array.size and (array.min() < low - _SLACK or array.max() > high + _SLACK):
        raise TraceError(
            f"{where}: {name} must lie in [{low}, {high}], but spans "
            f"[{array.min():.6g}, {array.max():.6g}]."
        )
