"""The paper's view of a heat map: a column by hand, and its laws."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lvlm_audit.metrics.scaling import scaled_by_transition

matrices = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(1, 12)),
    elements=st.floats(0, 5).map(lambda x: round(x, 6)),
)


def test_each_transition_by_its_own_largest_value() -> None:
    seen = scaled_by_transition([[0.5, 0.0, 2e-6], [0.25, 0.0, 1e-6], [0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(seen, [[1, 0, 1], [0.5, 0, 0.5], [0, 0, 0]])


def test_what_is_missing_stays_missing_and_scales_nothing() -> None:
    nan = float("nan")
    seen = scaled_by_transition([[0.5, nan], [nan, nan], [0.25, nan]])
    np.testing.assert_array_equal(seen, [[1, nan], [nan, nan], [0.5, nan]])


@given(matrices)
def test_every_column_reaches_one_or_is_nothing(values: np.ndarray) -> None:
    before = values.copy()
    seen = scaled_by_transition(values)
    np.testing.assert_array_equal(values, before)
    tops = seen.max(axis=0)
    assert (tops == (values.max(axis=0) > 0)).all()
    assert ((seen >= 0) & (seen <= 1)).all()
    np.testing.assert_allclose(seen * values.max(axis=0), values, rtol=1e-12)


@given(matrices, st.sampled_from([0.25, 2.0, 1024.0]))
def test_the_unit_of_a_transition_does_not_matter(values: np.ndarray, unit: float) -> None:
    np.testing.assert_array_equal(scaled_by_transition(values * unit), scaled_by_transition(values))
