"""Nodes of single tokens: hand-worked curves, and laws that hold for every curve."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lvlm_audit.metrics.nodes import (
    CRITICAL,
    MIN_PEAK,
    MUTATION_MARGIN,
    ONSET,
    SETTLE,
    downward_share,
    late_mutations,
    late_replaced,
    late_start,
    probability_of,
    saturation,
    settled_run,
    sustained_from,
    switches,
    value_at,
)
from tests.effort import examples

curves = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(4, 40)),
    elements=st.floats(0, 1).map(lambda x: round(x, 3)),
)


@pytest.mark.parametrize(
    ("blocks", "run", "late"), [(9, 2, 7), (20, 2, 16), (30, 3, 23), (32, 4, 25), (80, 8, 61)]
)
def test_depths_of_settling_and_of_the_last_quarter(blocks: int, run: int, late: int) -> None:
    assert settled_run(blocks) == run
    assert late_start(blocks) == late


def test_nodes_of_a_curve_by_hand() -> None:
    curve = np.array([[0.0, 0.05, 0.3, 0.05, 0.2, 0.5, 0.78, 0.8, 0.75]])
    # Peak 0.8: onset above 0.08 for good from state 4, critical above 0.4 from 5, settle above 0.72.
    assert sustained_from(curve, ONSET).tolist() == [4.0]
    assert sustained_from(curve, CRITICAL).tolist() == [5.0]
    assert sustained_from(curve, SETTLE).tolist() == [6.0]


def test_a_fraction_that_is_met_exactly_counts() -> None:
    assert sustained_from(np.array([[0.0, 0.5, 1.0]]), 0.5).tolist() == [1.0]


def test_no_nodes_without_a_peak_or_when_the_curve_ends_below() -> None:
    curve = np.array([[0.0] * 6, [0.0, 0.1, 0.1, 0.1, 0.1, MIN_PEAK - 1e-9], [0, 0, 1, 1, 1, 0.4]])
    assert np.isnan(sustained_from(curve, CRITICAL)).all()


def test_a_stay_may_end_before_the_last_state() -> None:
    curve = np.array([[0, 0, 1.0, 1, 0, 0], [0, 0, 1.0, 1, 0, 0], [0, 0, 0.6, 0.6, 1, 1]])
    # In the third row the peak, too, is the one before the end: half of 0.6 is met at state 2.
    states = sustained_from(curve, 0.9, np.array([4, 6, 4]))
    assert states[0] == 2.0
    assert math.isnan(states[1])
    assert states[2] == 2.0


@given(curves)
def test_onset_comes_before_critical_before_settle(curve: np.ndarray) -> None:
    onset, critical, settle = (sustained_from(curve, f) for f in (ONSET, CRITICAL, SETTLE))
    settled = ~np.isnan(settle)
    assert (onset[settled] <= critical[settled]).all()
    assert (critical[settled] <= settle[settled]).all()


@given(curves, st.sampled_from([0.25, 0.5, 2.0]))
def test_nodes_do_not_depend_on_scale_above_the_peak_floor(curve: np.ndarray, scale: float) -> None:
    high = np.maximum(curve.max(axis=1), 1e-9) * min(scale, 1) >= MIN_PEAK
    for fraction in (ONSET, CRITICAL, SETTLE):
        # Powers of two scale without rounding.
        one, other = (sustained_from(c, fraction)[high] for c in (curve, curve * scale))
        np.testing.assert_array_equal(one, other)


@given(curves, st.floats(0.05, 1))
def test_a_node_is_the_first_state_from_which_the_curve_stays(
    curve: np.ndarray, fraction: float
) -> None:
    for row, state in zip(curve, sustained_from(curve, fraction), strict=True):
        above = [v >= fraction * max(row) for v in row]
        expected = next((j for j in range(len(row)) if all(above[j:])), None)
        if max(row) < MIN_PEAK or expected is None:
            assert math.isnan(state)
        else:
            assert state == expected


def test_saturation_by_hand() -> None:
    leader = np.array([[1, 2, 2, 2, 2], [2, 1, 2, 2, 3], [1, 1, 1, 1, 1], [1, 2, 3, 4, 4]])
    np.testing.assert_array_equal(saturation(leader), [1, np.nan, 0, 3])
    assert switches(leader).tolist() == [1, 3, 0, 3]


def test_downward_share_by_hand() -> None:
    curve = np.array([[0.0, 0.4, 0.3, 0.8, 0.0], [0.5, 0.5, 0.5, 0.5, 0.5]])
    # Up to state 3: 0.4 + 0.5 up, 0.1 down. A curve that does not move has no downward share.
    np.testing.assert_allclose(downward_share(curve, np.array([3.0, 3.0])), [0.1, 0.0])
    assert np.isnan(downward_share(curve, np.array([np.nan, np.nan]))).all()


def test_value_at_undefined_nodes_is_undefined() -> None:
    curve = np.array([[0.1, 0.2], [0.3, 0.4]])
    np.testing.assert_array_equal(value_at(curve, np.array([1.0, np.nan])), [0.2, np.nan])


def test_an_id_that_is_no_candidate_is_refused() -> None:
    with pytest.raises(ValueError, match="not among"):
        probability_of(np.array([7]), np.array([[1, 2]]), np.zeros((1, 2, 3)))


def two_candidates(leader: list[int], margin: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One token of two candidates 1 and 2; the leading one is ahead by `margin` at every state."""
    row = np.array([leader])
    probability = np.stack(
        [np.where(row[0] == 1, 0.4 + margin, 0.4), np.where(row[0] == 2, 0.4 + margin, 0.4)]
    )
    return row, np.array([[1, 2, -1]]), np.concatenate([probability, np.zeros((1, row.size))])[None]


def states_of(mutated: np.ndarray) -> list[int]:
    return np.nonzero(mutated[0])[0].tolist()


# 12 blocks: settled after 2 states in a row, the last quarter begins at state 10.
@pytest.mark.parametrize(
    ("leader", "states"),
    [
        ([1] * 10 + [2] * 3, [10]),
        ([1] * 12 + [2], [12]),
        ([1] * 9 + [2] * 4, []),
        ([1] * 13, []),
        # The first replacement unsettles; one state of 1 in between settles nobody again.
        ([1] * 10 + [2, 1, 2], [10]),
        # It settles again and is replaced again: two mutations.
        ([1] * 10 + [2, 2, 1], [10, 12]),
        # Never twice in a row: nobody settles, so nobody is replaced.
        ([1, 2] * 6 + [1], []),
    ],
)
def test_late_mutations_by_hand(leader: list[int], states: list[int]) -> None:
    assert states_of(late_mutations(*two_candidates(leader, 0.2))) == states


def test_a_leader_is_replaced_only_by_the_margin() -> None:
    leader = [1] * 10 + [2] * 3
    assert states_of(late_mutations(*two_candidates(leader, MUTATION_MARGIN + 1e-6))) == [10]
    assert states_of(late_mutations(*two_candidates(leader, MUTATION_MARGIN - 1e-3))) == []


@examples(60)
@given(st.lists(st.sampled_from([1, 2]), min_size=5, max_size=60), st.floats(0, 0.5))
def test_late_mutations_stay_in_the_last_quarter_and_follow_a_settled_leader(
    leader: list[int], margin: float
) -> None:
    blocks = len(leader) - 1
    run = settled_run(blocks)
    for state in states_of(late_mutations(*two_candidates(leader, margin))):
        assert state >= late_start(blocks)
        assert margin >= MUTATION_MARGIN - 1e-9
        other = 3 - leader[state]
        assert any(leader[j : j + run] == [other] * run for j in range(state - run + 1))


def test_late_mutations_of_tokens_do_not_mix() -> None:
    rng = np.random.default_rng(0)
    leader = rng.integers(0, 3, size=(30, 25)) // 2 * rng.integers(0, 2, size=(30, 1))
    ids = np.tile([0, 1], (30, 1))
    probability = np.stack([leader == 0, leader == 1], axis=1) * 0.6
    together = late_mutations(leader, ids, probability)
    for t in range(30):
        one = slice(t, t + 1)
        alone = late_mutations(leader[one], ids[one], probability[one])
        np.testing.assert_array_equal(together[one], alone)


def replaced_by_hand(leader: list[int], curves: dict[int, list[float]]) -> dict[int, int]:
    """State -> the settled leader that is replaced there; one token, read off whole windows."""
    states = len(leader)
    run = settled_run(states - 1)
    stands = [curves[leader[j]][j] >= MIN_PEAK for j in range(states)]
    found, settled, since = {}, None, 0
    for j in range(states):
        if settled is not None and leader[j] != settled:
            lead = curves[leader[j]][j] - curves[settled][j]
            if lead >= MUTATION_MARGIN:
                if j >= late_start(states - 1):
                    found[j] = settled
                settled = None
        recent = range(j - run + 1, j + 1)
        away = all(not (stands[k] and leader[k] == settled) for k in recent if k >= 0)
        if away and j - since >= run:
            settled = None
        if j + 1 >= run and all(stands[k] and leader[k] == leader[j] for k in recent):
            settled, since = leader[j], j
    return found


@examples(300)
@given(st.integers(0, 2**32 - 1), st.integers(9, 40), st.sampled_from([0.3, 0.6, 1.0]))
def test_late_replacements_are_those_of_a_plain_loop(seed: int, blocks: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    # Slow walks of three candidates: leads last, fade and come back.
    curves = np.cumsum(rng.normal(0, 0.15, (3, blocks + 1)), axis=1) + rng.normal(0, 0.3, (3, 1))
    curves = scale / (1 + np.exp(-4 * curves))
    leader = curves.argmax(axis=0)
    found = late_replaced(leader[None], np.array([[0, 1, 2]]), curves[None])[0]
    by_hand = replaced_by_hand(leader.tolist(), dict(enumerate(curves.tolist())))
    assert {int(j): int(found[j]) for j in np.nonzero(found >= 0)[0]} == by_hand
