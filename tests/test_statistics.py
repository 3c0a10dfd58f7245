"""Intervals, p-values and the family correction, against SciPy, worked values and laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lvlm_audit.statistics import (
    MIN_IMAGES,
    ClusterMean,
    ShareOfImages,
    bootstrap_median,
    cluster_mean,
    fold_of,
    holm_levels,
    images_to_decide,
    median_over_images,
)

counts = st.integers(MIN_IMAGES, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
confidences = st.sampled_from([0.8, 0.9, 0.95, 0.99, 1 - 0.05 / 8])


def test_twelve_of_twelve_has_a_lower_bound_of_0_757() -> None:
    spread = ShareOfImages(12, 12).spread(0.95)
    assert spread.low == pytest.approx(0.7575, abs=1e-4)
    assert spread.high == 1.0
    assert spread.method == "wilson"


@given(counts, confidences)
def test_wilson_agrees_with_scipy(count: tuple[int, int], confidence: float) -> None:
    expected = stats.binomtest(*count).proportion_ci(confidence, method="wilson")
    spread = ShareOfImages(*count).spread(confidence)
    assert (spread.low, spread.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= spread.low <= ShareOfImages(*count).value <= spread.high <= 1


@given(counts, st.floats(0.01, 0.99), confidences)
def test_share_p_value_and_interval_say_the_same(
    count: tuple[int, int], bound: float, confidence: float
) -> None:
    share = ShareOfImages(*count)
    spread, alpha = share.spread(confidence), (1 - confidence) / 2
    # On the border itself rounding decides.
    if abs(spread.low - bound) > 1e-9:
        assert (share.p_value(">=", bound) <= alpha) == (spread.low > bound)
    if abs(spread.high - bound) > 1e-9:
        assert (share.p_value("<=", bound) <= alpha) == (spread.high < bound)


@pytest.mark.parametrize("n", [1, 4])
def test_fewer_than_five_images_decide_nothing(n: int) -> None:
    share = ShareOfImages(n, n)
    assert (share.spread(0.95).low, share.spread(0.95).high) == (0.0, 1.0)
    assert share.spread(0.95).method == "full range"
    assert share.p_value(">=", 0.01) == 1.0
    mean = cluster_mean([1.0] * n, support=(-2.0, 3.0), seed=0)
    assert (mean.spread(0.95).low, mean.spread(0.95).high) == (-2.0, 3.0)
    assert mean.p_value(">=", 0.01) == 1.0
    assert bootstrap_median(np.ones(n), confidence=0.95, seed=0) is None


values = st.lists(st.floats(-1, 1), min_size=MIN_IMAGES, max_size=15)


@settings(max_examples=40, deadline=None)
@given(values, st.floats(-1, 1), confidences)
def test_mean_p_value_and_interval_say_the_same(
    numbers: list[float], bound: float, confidence: float
) -> None:
    mean = cluster_mean(numbers, support=(-1, 1), seed=1, resamples=800)
    spread, alpha = mean.spread(confidence), (1 - confidence) / 2
    assert (mean.p_value(">=", bound) <= alpha) == (spread.low >= bound)
    assert (mean.p_value("<=", bound) <= alpha) == (spread.high <= bound)


def test_a_ratio_of_sums_weighs_images_by_their_tokens() -> None:
    share = cluster_mean([9, 0, 0, 0, 0], [10, 1, 1, 1, 1], support=(0, 1), seed=0)
    assert share.value == pytest.approx(9 / 14)


def test_the_bootstrap_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    draws = 300
    covered = 0
    for k in range(draws):
        numbers = rng.normal(0.3, 1.0, size=25)
        spread = cluster_mean(numbers, support=(-9, 9), seed=k, resamples=500).spread(0.9)
        covered += spread.low <= 0.3 <= spread.high
    # A percentile bootstrap of 25 normal images covers about 88 %; +-4 standard errors of 300 draws.
    assert 0.81 <= covered / draws <= 0.96


def test_the_same_seed_gives_the_same_interval_and_order_does_not_matter() -> None:
    numbers = np.random.default_rng(0).normal(size=12)
    one, two = (cluster_mean(numbers, support=(-5, 5), seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.replicates, two.replicates)
    first = bootstrap_median(numbers, confidence=0.95, seed=3)
    assert first == bootstrap_median(numbers, confidence=0.95, seed=3)


@pytest.mark.parametrize("numbers", [[], [1.0, math.nan], [math.inf]])
def test_a_mean_of_nothing_or_of_nan_is_refused(numbers: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        cluster_mean(numbers, support=(0, 1), seed=0)


def test_holm_by_hand() -> None:
    # Family of 4 at 0.05: 0.01 <= 0.0125, 0.015 <= 0.0167, 0.03 > 0.025 stops, 0.04 keeps 0.025.
    levels = holm_levels([0.04, 0.01, 0.03, 0.015], 0.05, 4)
    assert levels == pytest.approx([0.025, 0.0125, 0.025, 0.05 / 3])


p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@given(p_lists, st.integers(0, 5))
def test_holm_decides_between_bonferroni_and_no_correction(
    p_values: list[float], untested: int
) -> None:
    family = len(p_values) + untested
    levels = holm_levels(p_values, 0.05, family)
    assert all(0.05 / family <= level <= 0.05 for level in levels)
    decided = [p <= level for p, level in zip(p_values, levels, strict=True)]
    # A smaller p is decided whenever a larger one is.
    for p, yes in zip(p_values, decided, strict=True):
        assert not yes or all(d for q, d in zip(p_values, decided, strict=True) if q <= p)


@given(p_lists, st.integers(1, 5))
def test_holm_never_decides_more_in_a_larger_family(p_values: list[float], extra: int) -> None:
    n = len(p_values)
    small, large = holm_levels(p_values, 0.05, n), holm_levels(p_values, 0.05, n + extra)
    for p, a, b in zip(p_values, small, large, strict=True):
        assert not p <= b or p <= a


def test_medians_over_images_leave_undefined_tokens_out() -> None:
    numbers = np.array([3.0, np.nan, 1.0, 2.0, 8.0, np.nan, 4.0])
    images = np.array(["b", "b", "b", "a", "a", "c", "a"])
    names, medians = median_over_images(numbers, images)
    assert names.tolist() == ["a", "b"]
    assert medians.tolist() == [4.0, 2.0]
    assert median_over_images(np.full(2, np.nan), np.array([1, 2]))[1].size == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-9, 9)), min_size=1, max_size=30))
def test_medians_over_images_agree_with_numpy(rows: list[tuple[int, float]]) -> None:
    images, numbers = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    names, medians = median_over_images(numbers, images)
    np.testing.assert_allclose(medians, [np.median(numbers[images == n]) for n in names])


@given(st.lists(st.integers(0, 12), min_size=1, max_size=40))
def test_folds_keep_images_whole_and_are_balanced(images: list[int]) -> None:
    fold = fold_of(np.array(images))
    by_image = {i: {int(f) for j, f in zip(images, fold, strict=True) if j == i} for i in images}
    assert all(len(folds) == 1 for folds in by_image.values())
    ones = sum(1 in folds for folds in by_image.values())
    assert ones == len(by_image) // 2


@settings(max_examples=60)
@given(st.integers(1, 19), st.sampled_from([0.3, 0.5, 0.8]), confidences)
def test_as_many_images_as_said_decide_a_share(held: int, bound: float, confidence: float) -> None:
    share = ShareOfImages(held, 20)
    needed = images_to_decide(share, bound, confidence)
    if share.value == bound:
        assert needed is None
        return
    spread = share.spread(confidence)
    if not spread.low <= bound <= spread.high:
        return  # Decided already.
    assert needed is not None
    assert needed > 20

    def decides(n: int) -> bool:
        low, high = scaled(share.value, n, confidence)
        return bound < low + 1e-9 or bound > high - 1e-9

    assert decides(needed)
    assert needed == 21 or not decides(needed - 1)


def scaled(share: float, n: int, confidence: float) -> tuple[float, float]:
    """Wilson's interval around a share of n images, n * share not necessarily whole."""
    z2 = float(stats.norm.isf((1 - confidence) / 2)) ** 2
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n)))
    centre = share + z2 / (2 * n)
    return (centre - half) / (1 + z2 / n), (centre + half) / (1 + z2 / n)


def test_images_to_decide_a_mean() -> None:
    numbers = np.tile([0.0, 1.0], 10)
    mean = cluster_mean(numbers, support=(0, 1), seed=0)
    # Scatter 0.5: 1.96 * 0.5 / sqrt(n) < 0.1 from n = 97 on; the bootstrap's sd is a simulation.
    assert images_to_decide(mean, 0.4, 0.95) == pytest.approx(97, rel=0.06)
    assert images_to_decide(mean, 0.5, 0.95) is None
    assert images_to_decide(ShareOfImages(3, 4), 0.5, 0.95) is not None


def test_an_estimate_says_how_many_images_count() -> None:
    mean = cluster_mean([1.0, 2.0, 3.0], support=(0, 9), seed=0)
    assert isinstance(mean, ClusterMean)
    assert (mean.n, mean.value) == (3, 2.0)
