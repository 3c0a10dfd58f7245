"""The grounding curve's numbers: by hand, and their laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lvlm_audit.metrics.grounding_curve import MIN_GROUNDING, read_grounding


def test_by_hand() -> None:
    curves = np.array(
        [
            [0.0, 0.01, 0.05, 0.3, 0.4, 0.2],  # peak 0.4: 10 % from state 2, 50 % from state 3
            [0.0, 0.6, 0.6, 0.6, 0.2, 0.1],  # late layers give it up: 10 % from 1, 50 % never
            [0.0, 0.5, 0.0, 0.0, 0.5, 0.0],  # nothing is left: it never stays
            [0.0, 0.04, 0.04, 0.04, 0.04, 0.04],  # no grounding to speak of
            [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        ]
    )
    read = read_grounding(curves)
    np.testing.assert_allclose(read.peak, [0.4, 0.6, 0.5, 0.04, 0.0])
    np.testing.assert_array_equal(read.enters, [2, 1, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(read.half, [3, np.nan, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(read.left_before_last, [1.0, 1 / 3, 1.0, np.nan, np.nan])
    np.testing.assert_allclose(read.left_at_last, [0.5, 1 / 6, 0.0, np.nan, np.nan])
    assert read.grounded.tolist() == [True, True, True, False, False]


def test_one_state_is_no_curve() -> None:
    with pytest.raises(ValueError, match="at least two states"):
        read_grounding(np.zeros((3, 1)))


CURVES = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(2, 12)),
    elements=st.floats(0, 1, width=32),
)


@given(CURVES)
def test_laws(curve: np.ndarray) -> None:
    read = read_grounding(curve)
    states = curve.shape[1]
    assert ((read.peak >= curve.max(1)) & (read.peak <= curve.max(1))).all()
    for share in (read.left_before_last, read.left_at_last):
        assert (np.isnan(share) == ~read.grounded).all()
        assert ((share >= 0) & (share <= 1))[read.grounded].all()
    # Where half of it stays, a tenth does, and from no later state.
    both = ~np.isnan(read.half)
    assert (read.enters[both] <= read.half[both]).all()
    for node, fraction in ((read.enters, 0.1), (read.half, 0.5)):
        for row, state in zip(curve.astype(float), node, strict=True):
            stays = row >= fraction * row.max()
            if row.max() < MIN_GROUNDING or not stays[-1]:
                assert np.isnan(state)
            else:
                at = int(state)
                assert 0 <= at < states
                assert stays[at:].all()
                assert at == 0 or not stays[at - 1]


@given(CURVES)
def test_where_and_what_is_left_do_not_depend_on_the_height(curve: np.ndarray) -> None:
    """Halving is exact in binary, so nothing but the minimum can tell."""
    lifted = curve.astype(np.float64)
    lifted = lifted[lifted.max(1) >= 2 * MIN_GROUNDING]
    one, half = read_grounding(lifted), read_grounding(lifted / 2)
    for name in ("enters", "half", "left_before_last", "left_at_last"):
        np.testing.assert_array_equal(getattr(one, name), getattr(half, name))
