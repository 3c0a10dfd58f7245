"""The step fit against a search that shares no code with it, and collapses worked by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lvlm_audit.metrics.collapse import sustained_collapse
from lvlm_audit.metrics.steps import fit_step, step_width, unrest
from tests.effort import examples


def squared_error(parts: list[list[float]]) -> float:
    return math.fsum((x - math.fsum(p) / len(p)) ** 2 for p in parts for x in p)


def search(row: list[float], shortest: int) -> float | None:
    """Least squared error of high-low or high-low-higher, over all borders; None if nothing falls."""
    best = None
    n = len(row)
    for c, m in itertools.product(range(1, n), range(2, n + 1)):
        if m <= c or (m < n and m < c + shortest):
            continue
        parts = [row[:c], row[c:m], row[m:]][: 3 if m < n else 2]
        means = [math.fsum(p) / len(p) for p in parts]
        if means[1] >= means[0] or (len(means) == 3 and means[2] <= means[1]):
            continue
        error = squared_error(parts)
        best = error if best is None else min(best, error)
    return best


@examples(80)
@given(
    hnp.arrays(np.float64, st.integers(4, 14), elements=st.integers(0, 9).map(float)),
    st.integers(1, 3),
)
def test_the_fit_is_the_best_of_all_borders(row: np.ndarray, shortest: int) -> None:
    fit = fit_step(row[None], rises=False, shortest=shortest)
    expected = search(row.tolist(), shortest)
    total = squared_error([row.tolist()])
    if expected is None or total == 0 or total - expected < 1e-9:
        assert fit.border[0] == 0 or fit.explained[0] < 1e-6
        return
    c, m = int(fit.border[0]), int(fit.end[0])
    parts = [row[:c].tolist(), row[c:m].tolist()] + ([row[m:].tolist()] if m < len(row) else [])
    assert squared_error(parts) == pytest.approx(expected, abs=1e-9)
    assert fit.explained[0] == pytest.approx(1 - expected / total)
    assert [fit.before[0], fit.after[0]] == pytest.approx([np.mean(p) for p in parts[:2]])
    assert fit.later[0] == pytest.approx(np.mean(parts[-1]))


@given(hnp.arrays(np.float64, (3, 12), elements=st.integers(0, 9).map(float)))
def test_a_rise_is_a_fall_upside_down(rows: np.ndarray) -> None:
    fall, rise = fit_step(rows, rises=False, shortest=2), fit_step(-rows, rises=True, shortest=2)
    np.testing.assert_array_equal(fall.border, rise.border)
    np.testing.assert_array_equal(fall.end, rise.end)
    np.testing.assert_allclose(fall.after, -rise.after, atol=1e-12)


@pytest.mark.parametrize("level", [0.0, 0.1, 1e6, -3.3])
def test_a_constant_has_no_step(level: float) -> None:
    fit = fit_step(np.full((2, 15), level), rises=True, shortest=3)
    assert fit.border.tolist() == [0, 0]
    assert fit.explained.tolist() == [0.0, 0.0]
    assert np.isnan(unrest(np.full((2, 15), level), fit)[0]).all()


def test_unrest_and_width_by_hand() -> None:
    values = np.array([[0.0, 0.2, 0.1, 0.1, 0.7, 1.0, 1.2, 1.2, 1.2, 0.0]])
    fit = fit_step(values, rises=True, shortest=3)
    assert (fit.border[0], fit.end[0]) == (4, 9)
    step = (0.7 + 1.0 + 3 * 1.2) / 5 - 0.1
    before, after = unrest(values, fit)
    assert before[0] == pytest.approx(np.std([0.0, 0.2, 0.1, 0.1], ddof=1) / step)
    assert after[0] == pytest.approx(np.std([0.7, 1.0, 1.2, 1.2, 1.2], ddof=1) / step)
    # From 0.1 (state 3) through 0.7 (state 4) to 1.0 (state 5): 75 % of the step is at 0.82.
    assert step_width(values, fit)[0] == 2.0


def test_collapse_by_hand() -> None:
    rows = np.array(
        [
            [1.0, 0.8, 0.9, 0.1, 0.0, 0.1, 0.0, 0.1, 0.0, 0.9],  # collapses at state 3
            [0.9, 0.9, 0.9, 0.9, 0.0, 0.0, 0.0, 0.8, 0.8, 0.0],  # rises again: still at state 4
            [0.1] * 10,  # never high
            [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0],  # only rises
            [1.0, 1.0, 1.0, 1.0, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7],  # falls by too little
        ]
    )
    fit = sustained_collapse(rows)
    np.testing.assert_array_equal(fit.state, [3, 4, np.nan, np.nan, np.nan])
    assert fit.high[0] == pytest.approx(0.9)
    # The terminal transition (0.9 in the first row) is left out.
    assert fit.low[0] == pytest.approx(0.3 / 6)
    assert fit.low[1] == pytest.approx(0.0)


def test_a_single_late_burst_does_not_move_the_collapse() -> None:
    rows = np.zeros((7, 32))
    rows[:, :19] = 0.6
    rows[np.arange(7), 25 + np.arange(7) % 6] = 0.6
    assert sustained_collapse(rows).state.tolist() == [19.0] * 7


@given(hnp.arrays(np.float64, (2, 11), elements=st.integers(0, 9).map(float)), st.floats(1e-3, 1e3))
def test_collapse_does_not_depend_on_scale(rows: np.ndarray, scale: float) -> None:
    power = 2.0 ** round(math.log2(scale))  # scales without rounding
    one, other = sustained_collapse(rows), sustained_collapse(rows * power)
    np.testing.assert_array_equal(one.state, other.state)


def test_too_few_transitions_fit_nothing() -> None:
    fit = sustained_collapse(np.array([[1.0, 0.0, 0.0]]))
    assert np.isnan(fit.state).all()
