"""What a number of images can decide before anything is recorded, against enumeration and SciPy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lvlm_audit.statistics import (
    ShareOfImages,
    Side,
    Tolerance,
    images_to_ask,
    images_to_exclude,
    images_to_show,
    net_change,
    numbers_that_decide,
    quantity_change,
)
from tests.effort import examples

LEVEL = 0.025 / 4


def test_twenty_four_images_cannot_decide_unless_twenty_three_hold() -> None:
    """`answer_forms` of a family of four: at least 0.7 of the images."""
    assert [numbers_that_decide(n, ">=", 0.7, LEVEL).passes for n in (24, 48, 72)] == [23, 42, 61]
    undecided = [
        1 - numbers_that_decide(n, ">=", 0.7, LEVEL).chances(0.906).green for n in (24, 48, 72)
    ]
    assert undecided == pytest.approx([0.67, 0.16, 0.04], abs=0.005)
    assert numbers_that_decide(24, ">=", 0.8, LEVEL).passes is None
    assert numbers_that_decide(4, ">=", 0.1, LEVEL).passes is None


@examples(60)
@given(
    st.integers(0, 60),
    st.sampled_from([">=", "<="]),
    st.sampled_from([0.05, 0.3, 0.5, 0.8, 1.0]),
    st.sampled_from([0.025, LEVEL]),
    st.floats(0, 1),
)
def test_numbers_that_decide_are_the_verdicts(
    n: int, side: Side, bound: float, level: float, share: float
) -> None:
    found = numbers_that_decide(n, side, bound, level)
    other: Side = "<=" if side == ">=" else ">="
    better = (lambda k, at: k >= at) if side == ">=" else (lambda k, at: k <= at)
    green = red = 0.0
    for k in range(n + 1) if n else ():
        passes = ShareOfImages(k, n).p_value(side, bound) <= level
        fails = ShareOfImages(k, n).p_value(other, bound) <= level
        assert passes == (found.passes is not None and better(k, found.passes))
        assert fails == (found.fails is not None and better(found.fails, k))
        green += passes * stats.binom.pmf(k, n, share)
        red += fails * stats.binom.pmf(k, n, share)
    chances = found.chances(share)
    assert (chances.green, chances.red) == pytest.approx((green, red), abs=1e-9)
    assert chances.green + chances.red + chances.undecided == pytest.approx(1)


def test_images_to_ask_are_enough_and_fewer_are_not() -> None:
    needed = images_to_ask(">=", 0.7, LEVEL, share=0.906, chance=0.9)
    assert needed is not None

    def green(n: int) -> float:
        return numbers_that_decide(n, ">=", 0.7, LEVEL).chances(0.906).green

    assert min(green(n) for n in range(needed, 3 * needed)) >= 0.9 > green(needed - 1)
    assert images_to_ask("<=", 0.3, LEVEL, share=1 - 0.906) == needed
    # Nothing known: halfway between the bound and the best.
    assert images_to_ask(">=", 0.7, LEVEL) == images_to_ask(">=", 0.7, LEVEL, share=0.85)
    assert images_to_ask(">=", 0.7, LEVEL, share=0.7) is None
    assert images_to_ask(">=", 1.0, LEVEL) is None


@pytest.mark.parametrize("level", [0.025, LEVEL, LEVEL / 3])
@pytest.mark.parametrize("size", [0.05, 0.2, 0.5])
def test_images_that_show_or_exclude(size: float, level: float) -> None:
    points, drop = Tolerance.points(size), Tolerance.drop(size)
    n = images_to_show(points, level)
    assert n is not None
    assert net_change([False] * n, [True] * n, range(n)).p_shown(points) <= level
    if n > 5:
        assert net_change([False] * (n - 1), [True] * (n - 1), range(n - 1)).p_shown(points) > level
    for tolerance in (drop, Tolerance.rise(size)):
        n = images_to_show(tolerance, level)
        assert n is not None
        assert size**n <= level or n == 5
    n = images_to_exclude(points, level)
    assert n is not None
    assert net_change([True] * n, [True] * n, range(n)).p_excluded(points) <= level
    fewer = round(0.95 * n) - 1
    assert net_change([True] * fewer, [True] * fewer, range(fewer)).p_excluded(points) > level
    n = images_to_exclude(drop, level)
    assert n is not None
    assert images_to_exclude(Tolerance.rise(size), level) == n
    assert (1 - size) ** n <= level
    assert n == 5 or (1 - size) ** (n - 1) > level
    assert quantity_change([3.0] * n, [3.0] * n, seed=0).p_excluded(drop) <= level


def test_what_no_number_shows() -> None:
    assert images_to_show(Tolerance.points(1.0), LEVEL) is None
    assert images_to_show(Tolerance.drop(1.0), LEVEL) is None
