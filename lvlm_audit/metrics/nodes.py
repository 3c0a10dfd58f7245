"""Nodes of single tokens: where a curve over states rises, settles, and is overturned late.

Every node is a state. Functions take plain arrays, so that they serve traces, other tools' captures
and synthetic curves alike; S = L + 1 states.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

ONSET, CRITICAL, SETTLE = 0.1, 0.5, 0.9
"""Fractions of the peak that define onset, critical and settle (docs/method.md#nodes)."""

MIN_PEAK = 0.2
"""A curve that never reaches this has no nodes: fractions of a peak near zero are noise."""

MUTATION_MARGIN = 0.1
"""A settled leader counts as replaced when it is beaten by at least this probability."""

SHALLOW = 9
"""Below this many blocks a model is too shallow to divide."""


def settled_run(blocks: int) -> int:
    """How many states in a row make something settled: max(2, 0.1 L)."""
    return max(2, math.ceil(0.1 * blocks))


def late_start(blocks: int) -> int:
    """First state of the last quarter of the depth."""
    return math.floor(0.75 * blocks) + 1


def sustained_from(
    curve: Floats, fraction: float, ends: Ints | None = None, *, min_peak: float = MIN_PEAK
) -> npt.NDArray[np.float64]:
    """First state from which a curve stays at or above a fraction of its peak.

    Args:
        curve: [T, S] values >= 0, normally the nucleus mass G_j.
        fraction: of each row's own peak.
        ends: [T] one past the last state that counts, for peak and stay; S for every row by default.
        min_peak: a curve that never reaches this has no nodes; the default is a probability.

    Returns:
        [T] states as floats; NaN where the peak is below `min_peak` or the curve does not end above.
    """
    states = curve.shape[1]
    last = np.full(len(curve), states) if ends is None else ends
    counts = np.arange(states)[None, :] < last[:, None]
    peak = np.where(counts, curve, -np.inf).max(axis=1, keepdims=True)
    below = counts & ~(curve >= fraction * peak)
    # One past the last state that counts and lies below.
    after = np.where(below, np.arange(1, states + 1)[None, :], 0).max(axis=1)
    state = after.astype(np.float64)
    state[(state >= last) | (peak[:, 0] < min_peak)] = np.nan
    return np.asarray(state, dtype=np.float64)


def saturation(leader: Ints) -> npt.NDArray[np.float64]:
    """Earliest state from which the leading token no longer changes.

    Args:
        leader: [T, S] ids.

    Returns:
        [T] states; NaN ("never") where the leader still changes at the last transition.
    """
    same = leader == leader[:, -1:]
    run = np.cumprod(same[:, ::-1], axis=1).sum(axis=1)
    state = (leader.shape[1] - run).astype(np.float64)
    state[run == 1] = np.nan
    return np.asarray(state, dtype=np.float64)


def switches(leader: Ints) -> npt.NDArray[np.int64]:
    """[T] number of transitions at which the leading token changes (churn)."""
    return np.asarray((leader[:, 1:] != leader[:, :-1]).sum(axis=1), dtype=np.int64)


def candidates_from(leader: Ints, candidate_ids: Ints, state: int) -> npt.NDArray[np.bool_]:
    """Which leaders are candidates (docs/method.md#words): those that lead at some state from `state` on.

    Args:
        leader: [T, S] ids.
        candidate_ids: [T, C] every leader of a token; -1 pads.
        state: normally the critical layer (the paper: 20 of 32).

    Returns:
        [T, C] True for a candidate.
    """
    late = leader[:, state:]
    return np.asarray((candidate_ids[:, :, None] == late[:, None, :]).any(axis=2))


def probability_of(ids: Ints, candidate_ids: Ints, candidate_probability: Floats) -> Floats:
    """p_j of one candidate per token.

    Args:
        ids: [T] a candidate of each token.
        candidate_ids: [T, C].
        candidate_probability: [T, C, S].

    Returns:
        [T, S].

    Raises:
        ValueError: an id is not among its token's candidates.
    """
    match = candidate_ids == ids[:, None]
    if not match.any(axis=1).all():
        raise ValueError("an id is not among its token's candidates")
    return np.asarray(candidate_probability[np.arange(len(ids)), match.argmax(axis=1)])


def late_mutations(
    leader: Ints, candidate_ids: Ints, candidate_probability: Floats
) -> npt.NDArray[np.bool_]:
    """States at which a settled leader is replaced.

    A leader is settled once it has led for `settled_run(L)` states in a row. It is replaced at the
    first later state where another token leads it by at least `MUTATION_MARGIN`. Only replacements in
    the last quarter are late mutations; the one at state L is the terminal transition's and is
    reported apart by the callers.

    Args:
        leader: [T, S] ids.
        candidate_ids: [T, C].
        candidate_probability: [T, C, S].

    Returns:
        [T, S] True where the token mutates.
    """
    tokens, states = leader.shape
    blocks = states - 1
    need, late = settled_run(blocks), late_start(blocks)
    mutated = np.zeros((tokens, states), dtype=bool)
    every = np.arange(tokens)
    # State by state over all tokens at once. -1 stands for "nobody has settled yet".
    settled = np.full(tokens, -1, dtype=np.int64)
    run = np.ones(tokens, dtype=np.int64)
    for j in range(states):
        if j:
            run = np.where(leader[:, j] == leader[:, j - 1], run + 1, 1)
        challenged = every[(settled >= 0) & (leader[:, j] != settled)]
        if challenged.size:
            ids = candidate_ids[challenged]
            at_state = candidate_probability[challenged, :, j]
            margin = probability_of(leader[challenged, j], ids, at_state[:, :, None])[:, 0]
            margin = margin - probability_of(settled[challenged], ids, at_state[:, :, None])[:, 0]
            replaced = challenged[margin >= MUTATION_MARGIN]
            mutated[replaced, j] = j >= late
            settled[replaced] = -1
        settled = np.where(run >= need, leader[:, j], settled)
    return mutated


def downward_share(curve: Floats, until: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Downward movement as a share of total variation, from state 0 to a state of each token.

    Args:
        curve: [T, S].
        until: [T] last state to look at; NaN gives NaN.

    Returns:
        [T] in [0, 1]; 0 for a curve that does not move.
    """
    step = np.diff(curve.astype(np.float64), axis=1)
    step[np.arange(step.shape[1])[None, :] >= np.nan_to_num(until, nan=0.0)[:, None]] = 0.0
    total = np.abs(step).sum(axis=1)
    down = -np.minimum(step, 0).sum(axis=1)
    share = np.divide(down, total, out=np.zeros_like(down), where=total > 0)
    share[np.isnan(until)] = np.nan
    return np.asarray(share, dtype=np.float64)


def value_at(curve: Floats, state: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """[T] the curve at a state of each token; NaN where the state is NaN."""
    defined = ~np.isnan(state)
    value = np.full(len(state), np.nan)
    value[defined] = curve[np.nonzero(defined)[0], state[defined].astype(int)]
    return value
