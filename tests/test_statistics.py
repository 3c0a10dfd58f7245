"""Intervals, p-values and the family correction, against SciPy, worked values and laws."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from lvlm_audit.statistics import (
    MIN_IMAGES,
    ClusterMean,
    ShareOfImages,
    bootstrap_difference,
    bootstrap_median,
    cluster_mean,
    fold_of,
    holm_levels,
    images_to_decide,
    median_over_images,
)
from tests.effort import examples

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


measured = st.floats(-1, 1).map(lambda x: round(x, 6))
"""What a float32 reading can be told apart from: beside 0, nothing is 1e-135."""
values = st.lists(measured, min_size=MIN_IMAGES, max_size=15)


@examples(40)
@given(values, measured, confidences)
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


@examples(60)
@given(st.lists(measured, min_size=MIN_IMAGES, max_size=15, unique=True), confidences)
def test_a_mean_is_at_least_as_uncertain_as_students_t_and_as_the_bootstrap(
    numbers: list[float], confidence: float
) -> None:
    mean = cluster_mean(numbers, support=(-math.inf, math.inf), seed=1, resamples=800)
    spread = mean.spread(confidence)
    test = stats.ttest_1samp(numbers, 0.0).confidence_interval(confidence)
    tail = (1 - confidence) / 2
    low, high = np.quantile(mean.replicates, [tail, 1 - tail], method="inverted_cdf")
    assert spread.low <= min(test.low, low) + 1e-9
    assert spread.high >= max(test.high, high) - 1e-9
    # And no wider than it has to be.
    around = mean.replicates[[max(0, math.floor(tail * 801) - 2), -math.floor(tail * 801) + 1]]
    assert spread.low >= min(test.low, around[0]) - 1e-9
    assert spread.high <= max(test.high, around[1]) + 1e-9


@examples(60)
@given(st.lists(st.floats(0.2, 0.8), min_size=MIN_IMAGES, max_size=12, unique=True), confidences)
def test_where_the_support_ends_the_variance_does_too(
    numbers: list[float], confidence: float
) -> None:
    """The interval's ends solve |mean - b| = t * sd * sqrt(b (1 - b) / (mean (1 - mean) n))."""
    mean = cluster_mean(numbers, support=(0, 1), seed=1)
    spread, n, value = mean.spread(confidence), len(numbers), float(np.mean(numbers))
    scale = float(np.std(numbers, ddof=1)) / math.sqrt(value * (1 - value) * n)
    t = float(stats.t.isf((1 - confidence) / 2, n - 1))

    def beyond(bound: float) -> float:
        return abs(value - bound) - t * scale * math.sqrt(bound * (1 - bound))

    low = optimize.brentq(beyond, 0.0, value)
    high = optimize.brentq(beyond, value, 1.0)
    assert spread.low <= low + 1e-7
    assert spread.high >= high - 1e-7
    for end, solved in ((spread.low, low), (spread.high, high)):
        assert end == pytest.approx(solved, abs=1e-7) or end in mean.replicates


def test_a_share_of_tokens_by_hand() -> None:
    # Three of six images hold wholly, of two tokens each. Linearised: every deviation is 1/2, variance
    # 6/4/5 = 0.3, over 0.25: 1.2. Six images and one of all or nothing: (1.2 * 5 + 1) / 6 = 7/6.
    share = cluster_mean([2, 2, 2, 0, 0, 0], [2] * 6, support=(0, 1), seed=0, is_share=True)
    t2 = float(stats.t.isf(0.025, 5)) ** 2 * 7 / 6 / 6
    half = math.sqrt(t2 * (0.25 + t2 / 4)) / (1 + t2)
    spread = share.spread(0.95)
    assert (spread.low, spread.high) == pytest.approx((0.5 - half, 0.5 + half))
    assert share.p_value(">=", 0.5 - half) == pytest.approx(0.025)
    assert spread.method == "cluster bootstrap and t"


@given(st.integers(MIN_IMAGES, 60), st.integers(1, 9), st.sampled_from([0, 1]))
def test_all_or_no_tokens_are_as_sure_as_all_or_no_images(n: int, tokens: int, held: int) -> None:
    """Wilson's interval for as many images, with t for z; tokens of an image add nothing."""
    share = cluster_mean(
        [held * tokens] * n, [tokens] * n, support=(0, 1), seed=0, is_share=True, resamples=800
    )
    t2 = float(stats.t.isf(0.025, n - 1)) ** 2
    spread = share.spread(0.95)
    expected = (n / (n + t2), 1.0) if held else (0.0, t2 / (n + t2))
    assert (spread.low, spread.high) == pytest.approx(expected)


@pytest.mark.parametrize("constant", [0.0, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("support", [(0.0, 1.0), (-126.0, 126.0), (-math.inf, math.inf)])
def test_images_that_are_all_the_same_leave_a_mean_no_doubt(
    constant: float, support: tuple[float, float]
) -> None:
    """A model that ignores the image has a divergence of exactly zero under every image."""
    mean = cluster_mean([constant] * 7, support=support, seed=0)
    spread = mean.spread(0.95)
    assert (spread.low, spread.high) == pytest.approx((constant, constant))
    assert mean.p_value("<=", constant + 0.01) < 0.001
    assert mean.p_value(">=", constant + 0.01) == 1.0


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


def test_halves_do_not_follow_the_order_of_the_questions() -> None:
    """Four kinds of question in turn: every second image would put two kinds into each half."""
    names = np.array([f"scene-{i:04d}" for i in range(400)])
    ones = [int(fold_of(names)[kind::4].sum()) for kind in range(4)]
    assert sum(ones) == 200
    # A fair share of 100 is 50, with a standard deviation below 5.
    assert all(35 <= count <= 65 for count in ones)
    assert np.array_equal(fold_of(names), fold_of(names[::-1])[::-1])


@examples(60)
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
    # Variance 0.25 * 20 / 19, at the bound times 0.24 / 0.25: 0.25263. t(99)^2 * 25.263 = 99.5 <= 100,
    # while t(98)^2 * 25.263 = 99.5 > 99.
    assert images_to_decide(mean, 0.4, 0.95) == 100
    assert images_to_decide(mean, 0.5, 0.95) is None
    assert images_to_decide(ShareOfImages(3, 4), 0.5, 0.95) is not None


def test_an_estimate_says_how_many_images_count() -> None:
    mean = cluster_mean([1.0, 2.0, 3.0], support=(0, 9), seed=0)
    assert isinstance(mean, ClusterMean)
    assert (mean.n, mean.value) == (3, 2.0)


class TestBootstrapDifference:
    @pytest.mark.parametrize("statistic", ["median", "mean"])
    def test_against_scipy(self, statistic: Literal["median", "mean"]) -> None:
        random = np.random.default_rng(4)
        one, two = random.normal(20, 2, 30), random.normal(17, 3, 21)
        reduce = getattr(np, statistic)
        theirs = stats.bootstrap(
            (one, two),
            lambda a, b, axis: reduce(a, axis=axis) - reduce(b, axis=axis),
            method="percentile",
            n_resamples=20_000,
            rng=1,
        ).confidence_interval
        ours = bootstrap_difference(
            one, two, statistic=statistic, support=(0, 32), confidence=0.95, seed=0
        )
        assert ours.low == pytest.approx(theirs.low, abs=0.25)
        assert ours.high == pytest.approx(theirs.high, abs=0.25)

    def test_too_few_units_on_either_side_give_every_difference_there_is(self) -> None:
        few, many = np.full(4, 3.0), np.full(9, 3.0)
        for one, two in ((few, many), (many, few)):
            spread = bootstrap_difference(
                one, two, statistic="median", support=(0, 12), confidence=0.95, seed=0
            )
            assert (spread.low, spread.high, spread.method) == (-12, 12, "full range")

    @given(st.integers(0, 2**31), st.integers(5, 12), st.integers(5, 12))
    def test_it_lies_within_what_the_samples_allow(self, seed: int, n: int, m: int) -> None:
        random = np.random.default_rng(seed)
        one, two = random.random(n), random.random(m)
        spread = bootstrap_difference(
            one, two, statistic="median", support=(0, 1), confidence=0.9, seed=seed, resamples=200
        )
        slack = 1e-12
        assert one.min() - two.max() - slack <= spread.low <= spread.high
        assert spread.high <= one.max() - two.min() + slack
