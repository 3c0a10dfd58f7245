"""The difference of two shares, against SciPy, by hand, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from lvlm_audit.statistics import MIN_IMAGES, images_to_decide, rate_difference


def test_paired_images_of_equal_size_are_a_paired_t_test():
    draw = np.random.default_rng(0)
    counted = np.full((2, 30), 10.0)
    held = draw.binomial(10, [[0.6], [0.3]], (2, 30)).astype(float)
    found = rate_difference(held, counted, seed=0)
    differences = (held[0] - held[1]) / 10
    assert found.value == pytest.approx(differences.mean())
    theirs = stats.ttest_1samp(differences, 0.1, alternative="greater")
    ours = found.p_value(">=", 0.1)
    beyond = (1 + (found.replicates < 0.1).sum()) / (1 + len(found.replicates))
    assert ours == pytest.approx(max(theirs.pvalue, beyond), rel=1e-9)
    low, high = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    spread = found.spread(0.95)
    assert spread.low <= low + 1e-9
    assert spread.high >= high - 1e-9


def test_groups_of_different_images_are_two_independent_shares():
    """Nothing in common: the variances of both shares add up."""
    held = [[1, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0]]
    counted = [[1] * 6 + [0] * 6, [0] * 6 + [1] * 6]
    found = rate_difference(held, counted, seed=0)
    assert found.rates == (4 / 6, 2 / 6)
    assert (found.n, found.smaller) == (12, 6)
    variance = sum(r * (1 - r) / 6 for r in found.rates) * 12 / 11
    assert found.deviation(0.0) == pytest.approx((variance * 12) ** 0.5)


def test_nothing_at_all_is_no_certainty():
    found = rate_difference(np.zeros((2, 8)), np.full((2, 8), 3.0), seed=0)
    assert found.value == 0
    spread = found.spread(0.95)
    assert spread.low < -0.15
    assert spread.high > 0.15
    assert found.p_value("<=", 0.1) > 0.05


@pytest.mark.parametrize("times", [1, 3])
def test_the_second_night_of_an_unchanged_model(times):
    """The same images with the same words: no crash, no difference, and no proof that there is none."""
    draw = np.random.default_rng(5)
    counted = draw.integers(1, 9, 12).astype(float)
    held = draw.binomial(counted.astype(int), 0.3).astype(float)
    found = rate_difference([held, times * held], [counted, times * counted], seed=0)
    assert found.value == pytest.approx(0, abs=1e-12)
    spread = found.spread(0.95)
    assert -0.3 < spread.low < -0.1
    assert 0.1 < spread.high < 0.3
    for side, bound in ((">=", -0.05), ("<=", 0.05)):
        assert found.p_value(side, bound) > 0.1
        assert found.p_value(side, 10 * bound) < 0.025
    needed = images_to_decide(found, 0.05, 0.95)
    assert needed is not None
    assert needed > 12


def test_few_images_of_one_group_decide_nothing():
    counted = np.ones((2, 40))
    counted[0, MIN_IMAGES - 1 :] = 0
    held = np.zeros((2, 40))
    held[0, : MIN_IMAGES - 1] = 1
    found = rate_difference(held, counted, seed=0)
    assert found.spread(0.95).method == "full range"
    assert found.p_value(">=", 0.0) == 1.0


@pytest.mark.parametrize(
    ("held", "counted"),
    [
        ([[1.0], [0.0]], [[1.0], [0.0]]),
        ([[2.0], [0.0]], [[1.0], [1.0]]),
        ([[1.0, 0.0]], [[1.0, 1.0]]),
        ([[np.nan], [0.0]], [[1.0], [1.0]]),
    ],
)
def test_what_is_no_pair_of_shares(held, counted):
    with pytest.raises(ValueError, match="rate_difference needs"):
        rate_difference(held, counted, seed=0)


counts = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)),
    min_size=5, max_size=30,
).filter(lambda rows: sum(r[0] + r[1] for r in rows) and sum(r[2] + r[3] for r in rows))  # fmt: skip


@given(counts)
@example([(0, 1, 0, 1), *[(1, 0, 1, 0)] * 4])  # every image has the same part in both shares
def test_laws(rows):
    held = np.array([[r[0] for r in rows], [r[2] for r in rows]], float)
    counted = held + np.array([[r[1] for r in rows], [r[3] for r in rows]], float)
    found = rate_difference(held, counted, seed=1, resamples=400)
    spread = found.spread(0.95)
    assert -1 <= spread.low <= found.value <= spread.high <= 1
    swapped = rate_difference(held[::-1], counted[::-1], seed=1, resamples=400)
    assert swapped.value == pytest.approx(-found.value)
    assert swapped.deviation(0) == pytest.approx(found.deviation(0))
    for side, bound in ((">=", spread.high + 1e-6), ("<=", spread.low - 1e-6)):
        assert found.p_value(side, bound) > 0.025
    if found.smaller >= MIN_IMAGES and spread.low > -1:
        assert found.p_value(">=", spread.low - 1e-6) <= 0.0251
    needed = images_to_decide(found, 0.9, 0.95)
    assert needed is None or needed >= MIN_IMAGES


def test_the_interval_holds_the_truth():
    """Images that are alike inside, groups of different size: 95 % intervals in 300 simulated audits."""
    draw = np.random.default_rng(3)
    inside = 0
    for i in range(300):
        n = 16
        counted = draw.integers(0, 5, (2, n)).astype(float)
        counted[:, :6] += 1
        p = np.clip(draw.beta(2, 2, n) + np.array([[0.15], [-0.15]]), 0, 1)
        held = draw.binomial(counted.astype(int), p).astype(float)
        spread = rate_difference(held, counted, seed=i, resamples=400).spread(0.95)
        truth = float((np.clip(draw.beta(2, 2, 4000) + 0.15, 0, 1)).mean())
        truth -= float((np.clip(draw.beta(2, 2, 4000) - 0.15, 0, 1)).mean())
        inside += spread.low <= truth <= spread.high
    assert inside / 300 >= 0.93
