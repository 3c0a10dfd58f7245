"""Paired changes: shown, excluded or neither, from few images, against SciPy, enumeration and laws."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lvlm_audit.statistics import (
    Change,
    MeanChange,
    NetChange,
    Tolerance,
    counts_change,
    net_change,
    quantity_change,
    rate_difference,
)
from tests.effort import examples

DROP, RISE, POINTS = Tolerance.drop(0.2), Tolerance.rise(0.2), Tolerance.points(0.05)
LEVEL = 0.025 / 4


def pairs(n: int, lost: int, gained: int, kept: int | None = None) -> NetChange:
    """One probe an image; the rest was and is right, or `kept` of them."""
    rest = n - lost - gained
    right = rest if kept is None else kept
    now = [False] * lost + [True] * gained + [i < right for i in range(rest)]
    before = [True] * lost + [False] * gained + [i < right for i in range(rest)]
    return net_change(now, before, range(n))


@pytest.mark.parametrize("n", [8, 23, 24, 48])
def test_unchanged_images_exclude_what_the_rule_of_three_excludes(n: int) -> None:
    same = np.random.default_rng(n).uniform(1, 9, n)
    unchanged = quantity_change(same, same, seed=0)
    least = 1 / 4001  # what 4,000 resamples can say
    assert unchanged.p_excluded(DROP) == pytest.approx(max(0.8**n, least))
    assert unchanged.p_shown(DROP) > 0.5
    negated = quantity_change(-same, -same, seed=0)
    assert negated.p_excluded(RISE) == pytest.approx(max(0.8**n, least))
    # As one may say with 95 %: about 3/n, and never less.
    assert 0.95**n <= pairs(n, 0, 0).p_excluded(POINTS) <= 0.95**n + 0.02
    words = counts_change(np.full(n, 4), np.full(n, 4), np.full(n, 4), seed=0)
    assert words.p_excluded(POINTS) == pytest.approx(0.95**n)
    for change in (unchanged, pairs(n, 0, 0), words):
        spread = change.spread(0.95)
        assert spread.low < 0 < spread.high
        assert change.p_shown(POINTS) > 0.5


def test_the_images_that_no_change_needs() -> None:
    for level in (0.025, LEVEL):
        needed = pairs(24, 0, 0).images_to_exclude(POINTS, level)
        assert needed is not None
        assert pairs(needed, 0, 0).p_excluded(POINTS) <= 1.15 * level
        assert pairs(round(0.9 * needed), 0, 0).p_excluded(POINTS) > level
    assert needed <= 1.4 * math.log(LEVEL) / math.log(0.95)
    same = np.full(12, 3.0)
    assert quantity_change(same, same, seed=0).images_to_exclude(DROP, LEVEL) == 23
    assert quantity_change(0.5 * same, same, seed=0).images_to_exclude(DROP, LEVEL) is None
    assert pairs(24, 12, 0).images_to_exclude(POINTS, LEVEL) is None
    # The number that it names would decide: more of the same.
    rough = np.tile([4.0, 5.0, 6.5, 4.5, 5.0, 5.2], 2)
    change = quantity_change(rough, np.full(12, 5.0), seed=0)
    needed = change.images_to_exclude(DROP, LEVEL)
    assert needed is not None
    times = math.ceil(needed / 12) + 1
    more = quantity_change(np.tile(rough, times), np.full(12 * times, 5.0), seed=0)
    assert change.p_excluded(DROP) > LEVEL >= more.p_excluded(DROP)


@pytest.mark.parametrize("level", [0.2, 1.0, 5.0])
def test_losing_everything_is_shown_whatever_the_parent_has(level: float) -> None:
    draw = np.random.default_rng(1)
    before = level * draw.gamma(4, 0.25, 24)
    now = level * draw.normal(0, 0.05, 24)
    change = quantity_change(now, before, seed=0)
    assert change.p_shown(DROP) <= 0.001
    assert change.p_excluded(DROP) > 0.5
    assert change.has_something_to_lose(DROP, LEVEL)
    assert change.now - change.before == change.value == pytest.approx(np.mean(now - before))


def test_a_parent_around_nothing_has_nothing_to_lose() -> None:
    draw = np.random.default_rng(0)
    assert not quantity_change(np.zeros(24), draw.normal(0, 1, 24), seed=0).has_something_to_lose(
        DROP, LEVEL
    )
    assert not pairs(24, 0, 0, kept=1).has_something_to_lose(POINTS, LEVEL)
    assert pairs(24, 0, 0, kept=20).has_something_to_lose(POINTS, LEVEL)
    assert not pairs(5, 0, 0).has_something_to_lose(POINTS, LEVEL)
    assert not counts_change([0] * 9, [0] * 9, [3] * 9, seed=0).has_something_to_lose(POINTS, LEVEL)


def test_a_share_is_a_paired_t_test_of_the_line() -> None:
    draw = np.random.default_rng(2)
    before = draw.normal(5, 1, 30)
    now = before - 0.5 + draw.normal(0, 1, 30)
    change = quantity_change(now, before, seed=0)
    for tolerance, limit in ((DROP, 0.8 * before), (Tolerance.points(0.3), before - 0.3)):
        theirs = {
            side: stats.ttest_rel(now, limit, alternative=side).pvalue
            for side in ("less", "greater")
        }
        assert change.p_shown(tolerance) >= theirs["less"] - 1e-12
        assert change.p_excluded(tolerance) >= theirs["greater"] - 1e-12
        # The normal case costs little more than t.
        assert change.p_shown(tolerance) == pytest.approx(theirs["less"], rel=0.35, abs=0.002)
        assert change.p_excluded(tolerance) <= 2 * theirs["greater"] + 0.007
    low, high = stats.ttest_rel(now, before).confidence_interval(0.95)
    assert change.spread(0.95).low <= low + 1e-9
    assert change.spread(0.95).high >= high - 1e-9


def test_counts_of_equal_totals_are_means_of_shares() -> None:
    draw = np.random.default_rng(3)
    before, now = draw.binomial(10, 0.7, 20), draw.binomial(10, 0.5, 20)
    words = counts_change(now, before, np.full(20, 10), seed=1)
    shares = quantity_change(now / 10, before / 10, seed=1)
    assert words.value == pytest.approx(shares.value)
    assert words.p_shown(POINTS) == pytest.approx(shares.p_shown(POINTS), abs=1e-3)
    assert words.spread(0.95).low == pytest.approx(shares.spread(0.95).low, abs=0.01)


def test_counts_of_other_totals_are_the_difference_of_rates() -> None:
    draw = np.random.default_rng(4)
    totals = draw.integers(1, 9, (2, 40))
    held = draw.binomial(totals, [[0.6], [0.8]])
    change = counts_change(held[0], held[1], totals[0], totals[1], seed=0)
    theirs = rate_difference(held, totals, seed=0)
    assert change.value == pytest.approx(theirs.value)
    assert change.p_shown(POINTS) >= theirs.p_value("<=", -0.05) - 1e-3
    assert change.p_shown(POINTS) == pytest.approx(theirs.p_value("<=", -0.05), rel=0.5, abs=1e-3)


def enumerated(n: int, lost: int, gained: int, limit: float) -> float:
    """Worst-case P, on a fine grid, of tables whose score is as far above -limit; by brute force."""

    def score(b: int, c: int) -> float:
        above = c - b + n * limit
        # The likeliest share lost, given that lost - gained = limit, by search instead of by formula.
        grid = np.linspace(limit, (1 + limit) / 2, 20_001)
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = [
                k * np.log(p)
                for k, p in ((b, grid), (c, grid - limit), (n - b - c, 1 - 2 * grid + limit))
                if k
            ]
        best = grid[np.nanargmax(sum(parts))]
        variance = n * (2 * best - limit - limit**2)
        return above / math.sqrt(variance) if variance > 1e-12 else math.copysign(math.inf, above)

    seen = score(lost, gained)
    tables = [
        (b, c)
        for b, c in itertools.product(range(n + 1), repeat=2)
        if b + c <= n and score(b, c) >= seen - 1e-6
    ]
    return max(
        sum(stats.multinomial.pmf((b, c, n - b - c), n, (q, q - limit, 1 - 2 * q + limit)) for b, c in tables)
        for q in np.linspace(limit, (1 + limit) / 2, 200)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("n", "lost", "gained", "limit"),
    [(8, 0, 0, 0.3), (8, 0, 3, 0.2), (9, 1, 4, 0.1), (10, 0, 5, 0.05), (10, 2, 2, 0.4)],
)
def test_the_exact_guard_is_the_enumeration_of_all_tables(
    n: int, lost: int, gained: int, limit: float
) -> None:
    ours = pairs(n, lost, gained)
    exact = enumerated(n, lost, gained, limit)
    found = ours.p_excluded(Tolerance.points(limit))
    assert found >= exact * 0.98
    assert ours._exact(gained, lost, -limit) == pytest.approx(exact, rel=0.03)


def test_pairs_without_margin_are_the_sign_test_or_more_careful() -> None:
    tiny = Tolerance.points(1e-9)
    for lost, gained in ((9, 0), (13, 2), (8, 3)):
        theirs = stats.binomtest(lost, lost + gained, alternative="greater").pvalue
        assert 0.3 * theirs <= pairs(24, lost, gained).p_shown(tiny) <= 8 * theirs + 1e-4


def test_tangos_own_example() -> None:
    """Tango 1998, table II: 44 pairs, 43 in agreement, one against; the score interval of the difference."""
    change = pairs(44, 0, 1)
    low, high = -0.0600, 0.1184  # of 95 %, as in PropCIs::scoreci.mp(0, 1, 44) and by hand
    spread = change.spread(0.95)
    assert spread.low <= low + 0.005
    assert spread.high >= high - 0.005


def test_probes_of_one_image_that_fall_together_are_one() -> None:
    alone = net_change([False] * 12 + [True] * 36, [True] * 48, range(48))
    together = net_change([False] * 12 + [True] * 36, [True] * 48, np.arange(48) // 6)
    assert alone.design_effect == pytest.approx(1.0, abs=1e-12)
    assert together.design_effect > 5
    assert (together.n, together.probes, together.lost, together.gained) == (8, 48, 12, 0)
    assert alone.p_shown(POINTS) < 0.003
    assert together.p_shown(POINTS) > 0.1
    assert together.spread(0.95).low < alone.spread(0.95).low


@pytest.mark.parametrize("n", [1, 4])
def test_fewer_than_five_images_say_nothing(n: int) -> None:
    changes: list[Change] = [
        quantity_change(np.zeros(n), np.ones(n), seed=0),
        counts_change(np.zeros(n), np.ones(n), np.ones(n), seed=0),
        pairs(n, n, 0),
    ]
    for change in changes:
        assert change.p_shown(POINTS) == change.p_excluded(POINTS) == 1.0
        assert change.spread(0.95).method == "full range"
        assert not change.has_something_to_lose(POINTS, LEVEL)


@pytest.mark.parametrize("size", [0.0, -0.1, math.nan, math.inf])
def test_a_tolerance_is_above_nothing(size: float) -> None:
    for make in (Tolerance.drop, Tolerance.rise, Tolerance.points):
        with pytest.raises(ValueError, match="above 0"):
            make(size)
    assert Tolerance.rise(0.2).size == pytest.approx(Tolerance.drop(0.2).size)
    assert Tolerance.points(0.2).size == pytest.approx(0.2)


def test_what_is_no_pair() -> None:
    for bad in ([1.0, 2.0], [math.nan], []):
        with pytest.raises(ValueError, match="quantity_change needs"):
            quantity_change(bad, bad[:1], seed=0)
    with pytest.raises(ValueError, match="counts_change needs 0 <="):
        counts_change([3], [1], [2], seed=0)
    with pytest.raises(ValueError, match="something to count"):
        counts_change([0], [0], [2], [0], seed=0)
    with pytest.raises(ValueError, match="net_change needs"):
        net_change([True], [True, False], [0, 1])
    with pytest.raises(ValueError, match="not against a share"):
        pairs(9, 1, 0).p_shown(DROP)


number = st.floats(-4, 8).map(lambda x: round(x, 3))
rows = st.lists(st.tuples(number, number), min_size=5, max_size=30)
answers = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.integers(0, 9)), min_size=5, max_size=40
)


def swept(change: Change, tolerance: Tolerance) -> tuple[float, float]:
    return change.p_shown(tolerance), change.p_excluded(tolerance)


@examples(60)
@given(rows, st.sampled_from([DROP, RISE, POINTS, Tolerance.points(1.5)]), st.randoms())
def test_laws_of_means(data: list[tuple[float, float]], tolerance: Tolerance, random) -> None:
    now, before = np.array(data).T
    change = quantity_change(now, before, seed=1, resamples=500)
    shown, excluded = swept(change, tolerance)
    assert 0 < shown <= 1
    assert 0 < excluded <= 1
    assert max(shown, excluded) >= 0.45
    worse = swept(quantity_change(now - 0.7, before, seed=1, resamples=500), tolerance)
    assert worse[1] >= excluded - 1e-9
    order = list(range(len(data)))
    random.shuffle(order)
    mixed = MeanChange(change.sums[:, order], change.weights, change.replicates)
    assert swept(mixed, tolerance) == pytest.approx((shown, excluded), rel=1e-6, abs=1e-9)
    if tolerance.offset == 0:
        scaled = quantity_change(8 * now, 8 * before, seed=1, resamples=500)
        assert swept(scaled, tolerance) == pytest.approx((shown, excluded), rel=1e-6, abs=1e-9)


@examples(60)
@given(rows, st.sampled_from([0.9, 0.95]))
def test_tests_and_interval_say_the_same(
    data: list[tuple[float, float]], confidence: float
) -> None:
    now, before = np.array(data).T
    change = quantity_change(now, before, seed=1, resamples=500)
    spread, alpha = change.spread(confidence), (1 - confidence) / 2
    assert spread.low <= change.value <= spread.high
    for points in (-spread.low, -spread.high):
        if points > 1e-4:
            for by, inside in ((1.001, -1), (0.999, 1)):
                tolerance = Tolerance.points(points * by)
                if points == -spread.low:
                    assert (change.p_excluded(tolerance) <= alpha) == (inside < 0)
                else:
                    assert (change.p_shown(tolerance) <= alpha) == (inside > 0)


@examples(40)
@given(answers, st.sampled_from([0.05, 0.2]), st.randoms())
def test_laws_of_right_answers(data: list[tuple[bool, bool, int]], points: float, random) -> None:
    now, before, images = (list(x) for x in zip(*data, strict=True))
    tolerance = Tolerance.points(points)
    change = net_change(now, before, images)
    shown, excluded = swept(change, tolerance)
    assert 0 <= shown <= 1
    assert 0 <= excluded <= 1
    assert max(shown, excluded) == 1
    order = list(range(len(data)))
    random.shuffle(order)
    mixed = net_change(*([x[i] for i in order] for x in (now, before, images)))
    assert swept(mixed, tolerance) == pytest.approx((shown, excluded))
    assert change.value == pytest.approx(np.mean(now) - np.mean(before))
    spread = change.spread(0.95)
    assert -1 <= spread.low <= change.value <= spread.high <= 1
    if excluded > 0.03:
        assert spread.low <= -points + 0.01
    wider = net_change(now + now, before + before, images + images)
    assert wider.design_effect >= change.design_effect


@examples(30)
@given(st.integers(8, 40), st.data())
def test_one_more_lost_answer_never_helps(n: int, data) -> None:
    lost = data.draw(st.integers(0, n - 1))
    gained = data.draw(st.integers(0, n - lost - 1))
    one, more = pairs(n, lost, gained), pairs(n, lost + 1, gained)
    assert more.p_excluded(POINTS) >= one.p_excluded(POINTS) - 0.01
    assert more.p_shown(POINTS) <= one.p_shown(POINTS) + 0.01
