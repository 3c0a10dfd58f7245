"""Geometry of hidden states: how far they turn from one to the next, and how widely they fan out.

Arrays in, arrays out. A state's norm grows with depth, so nothing here depends on it: distances are
angles. All sums are made in float64, whatever the states were stored in. T tokens (or images), S states,
L = S - 1 transitions, width d.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

States = npt.NDArray[np.floating[Any]]
Reals = npt.NDArray[np.float64]

MIN_CKA_ROWS = 4
"""Below this the unbiased estimator of HSIC divides by zero (Song et al. 2012, eq. 5)."""


def cosine_distance(states: States) -> Reals:
    """1 - cos between each state and the next.

    Its mean over rows is ShortGPT's Block Influence (Men et al. 2024, eq. 1) where rows are tokens.

    Args:
        states: [T, S, d].

    Returns:
        [T, L] in [0, 2]; NaN where one of the two is the zero vector, which has no direction.
    """
    unit = _unit(states)
    # |u - v|^2 = 2 - 2 cos, without the cancellation of 1 - cos between near neighbours.
    return np.asarray((np.diff(unit, axis=1) ** 2).sum(axis=2) / 2)


def angular_distance(states: States) -> Reals:
    """arccos(cos) / pi between each state and the next (Gromov et al. 2024, eq. 1).

    Args:
        states: [T, S, d].

    Returns:
        [T, L] in [0, 1]: 0.5 is orthogonal, 1 is opposite; NaN as in `cosine_distance`.
    """
    unit = _unit(states)
    apart = np.linalg.norm(np.diff(unit, axis=1), axis=2)
    along = np.linalg.norm(unit[:, 1:] + unit[:, :-1], axis=2)
    # Kahan's form: arccos loses half of the digits where vectors are nearly parallel.
    return np.asarray(2 * np.arctan2(apart, along) / np.pi)


def pairwise_angles(states: States) -> Reals:
    """Angular distance between every two tokens (or images) at each state.

    Args:
        states: [T, S, d].

    Returns:
        [S, T, T] in [0, 1]; NaN for a zero vector.
    """
    unit = _unit(states).transpose(1, 0, 2)
    angles = np.arccos(np.clip(unit @ unit.transpose(0, 2, 1), -1.0, 1.0)) / np.pi
    every = np.arange(angles.shape[1])
    angles[:, every, every] *= 0.0
    return np.asarray(angles)


def spread(states: States) -> Reals:
    """How widely tokens (or images) lie apart at each state: the mean angular distance of two of them.

    A mean over pairs does not depend on how many there are, so that answers of different lengths can be
    compared; 1 - |mean of unit vectors|, the circular variance, does. Equal vectors give 0, vectors without
    a common direction 0.5.

    Args:
        states: [T, S, d].

    Returns:
        [S] in [0, 1]; NaN below two rows, and where a row is the zero vector.
    """
    return np.asarray(mean_of_pairs(pairwise_angles(states), np.ones((1, len(states))))[0])


def mean_of_pairs(angles: Reals, counts: Reals) -> Reals:
    """Mean over pairs of two different rows, each row counted as often as it was drawn.

    Two draws of the same row are no pair: their distance of 0 would pull every resample down.

    Args:
        angles: [S, T, T] as from `pairwise_angles`.
        counts: [R, T] how often each resample holds each row.

    Returns:
        [R, S]; NaN where a resample holds a single row.
    """
    pairs = counts.sum(axis=1) ** 2 - (counts**2).sum(axis=1)
    total = np.einsum("rt,stu,ru->rs", counts, angles, counts, optimize=True)
    mean = np.full(total.shape, np.nan)
    np.divide(total, pairs[:, None], out=mean, where=pairs[:, None] > 0)
    return mean


@dataclass(frozen=True, slots=True)
class Continuity:
    """Whether states follow each other on a path.

    Attributes:
        share: share of states whose nearest neighbour is the state before or after of the same token.
        chance: the share that neighbours drawn at random would give.
    """

    share: float
    chance: float


def continuity(states: States) -> Continuity | None:
    """How many states have the next or the previous state of their own token for nearest neighbour.

    For each of the T * S states of an answer, the nearest (by angle) of all T * S - 1 others is looked
    for, those of other tokens included. A tie with an adjacent state counts for it. By chance an inner state
    would hit one of its two adjacent ones in 2 of T * S - 1 draws, a first or last state in 1.

    Args:
        states: [T, S, d].

    Returns:
        The share and what chance gives; None where there is no other state, or a zero vector.
    """
    tokens, count, width = states.shape
    unit = _unit(states)
    others = tokens * count - 1
    if others < 1 or np.isnan(unit).any():
        return None
    every = unit.reshape(-1, width)
    place = np.arange(count)
    held = 0
    # Token by token: all pairs of a long answer at once would need gigabytes.
    for t in range(tokens):
        cos = unit[t] @ every.T
        cos[place, t * count + place] = -np.inf
        own = cos[:, t * count : (t + 1) * count]
        adjacent = np.full(count, -np.inf)
        adjacent[1:] = own[place[1:], place[:-1]]
        adjacent[:-1] = np.maximum(adjacent[:-1], own[place[:-1], place[1:]])
        # Within rounding of equal is a tie.
        held += int(np.count_nonzero((adjacent >= cos.max(axis=1) - 1e-12) & (count > 1)))
    chance = 2 * (count - 1) / count / others
    return Continuity(held / (tokens * count), chance)


def debiased_cka(one: States, other: States) -> float:
    """Linear CKA with the unbiased estimator of HSIC (Nguyen et al. 2021, eq. 2-3).

    The plain estimator approaches 1 where there are fewer rows than columns, which is always so here.
    The debiased one scatters around 0 for unrelated states and may be negative. It does not change under
    rotations and scalings of either side. Similarity of arrangement is all that it sees: never read it alone.

    Args:
        one: [n, p] rows are the same tokens (or images) on both sides.
        other: [n, q].

    Returns:
        At most 1; NaN below 4 rows, or where all rows of a side lie alike.
    """
    if len(one) < MIN_CKA_ROWS:
        return float("nan")
    a, b = _u_centred(one), _u_centred(other)
    # A side without structure leaves rounding alone, which would be divided by itself.
    size = [float((m.centred**2).sum()) for m in (a, b)]
    if any(s <= 1e-20 * m.scale for s, m in zip(size, (a, b), strict=True)):
        return float("nan")
    return float((a.centred * b.centred).sum() / np.sqrt(size[0] * size[1]))


def cka_to_next(states: States) -> Reals:
    """[L] debiased CKA between each state of [T, S, d] and the next."""
    return np.array(
        [debiased_cka(states[:, j], states[:, j + 1]) for j in range(states.shape[1] - 1)]
    )


def cka_to_final(states: States) -> Reals:
    """[S] debiased CKA between each state of [T, S, d] and the last one; 1 there."""
    last = states[:, -1]
    return np.array([debiased_cka(states[:, j], last) for j in range(states.shape[1])])


@dataclass(frozen=True, slots=True, eq=False)
class _Gram:
    centred: Reals
    scale: float


def _u_centred(rows: States) -> _Gram:
    """The Gram matrix of rows [n, p], U-centred: the unbiased HSIC is then a plain inner product.

    Szekely and Rizzo (2014, eq. 2.8); equal to Song et al.'s eq. 5 term by term.
    """
    x = rows.astype(np.float64)
    # A shift of all rows changes nothing here but the rounding.
    x -= x.mean(axis=0)
    gram = x @ x.T
    n = len(gram)
    np.fill_diagonal(gram, 0.0)
    sums = gram.sum(axis=1) / (n - 2)
    centred = gram - sums[:, None] - sums[None, :] + gram.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(centred, 0.0)
    return _Gram(centred, float(((rows.astype(np.float64) ** 2).sum(axis=1).max()) ** 2))


def _unit(states: States) -> Reals:
    """The states' directions; NaN for zero vectors."""
    x = states.astype(np.float64)
    # First to a common size: squares of the smallest float64 values would vanish.
    largest = np.abs(x).max(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        x = x / np.where(largest == 0, np.nan, largest)
    return np.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True))
