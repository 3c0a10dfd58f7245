"""docs/images.md: the page is the bounds', and its numbers are those of other ways to count."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks import images_needed
from lvlm_audit.spec.judge import ALPHA
from lvlm_audit.spec.suite import suite
from lvlm_audit.statistics import ShareOfImages, holm_levels

BOUNDED = [c for c in suite("default").checks if c.bounded]
SHARES = images_needed.of_images(BOUNDED)


def test_the_page_is_what_the_bounds_give() -> None:
    written = images_needed.PAGE.read_text(encoding="utf-8")
    assert written == images_needed.page(), "run python -m benchmarks.images_needed"
    for check in BOUNDED:
        assert f"`{check.name}`" in written


def test_the_example_of_the_page() -> None:
    """The numbers from which the bundled set's size was chosen."""
    (row,) = (r for r in images_needed.share_rows(BOUNDED) if (r.bound, r.share) == (0.7, 0.906))
    assert row.decide[0].passes == 23
    undecided = [round(100 * (1 - chances.green)) for chances in row.chances]
    assert undecided[:3] == [67, 16, 4]
    assert undecided[3] == 0
    assert all(chances.red < 0.0005 for chances in row.chances)


@pytest.mark.parametrize("n", images_needed.SIZES)
def test_shares_are_as_holm_judges_them_beside_decided_checks(n: int) -> None:
    """Every possible outcome of one check, judged in the whole family, weighed by SciPy's binomial."""
    decided = [1e-9] * (len(BOUNDED) - len(SHARES))
    open_ones = [0.5] * (len(SHARES) - 1)
    column = images_needed.SIZES.index(n)
    for row in images_needed.share_rows(BOUNDED):
        green = red = 0.0
        for held in range(n + 1):
            seen = ShareOfImages(held, n)
            passes, fails = (seen.p_value(side, row.bound) for side in (">=", "<="))
            *_, level = holm_levels([*decided, *open_ones, min(passes, fails)], ALPHA, len(BOUNDED))
            chance = float(stats.binom.pmf(held, n, row.share))
            green += chance * (passes <= level)
            red += chance * (passes > level >= fails)
        found = row.chances[column]
        assert (found.green, found.red) == pytest.approx((green, red), abs=1e-9)
        assert found.undecided == pytest.approx(1 - green - red, abs=1e-9)


@pytest.mark.parametrize("distance", [0.0, 0.25, 0.5, 1.0])
def test_means_are_as_scipy_and_as_simulated_t_tests_have_them(distance: float) -> None:
    n, level = 24, ALPHA / len(BOUNDED)
    found = images_needed.mean_chances(n, distance, level)
    critical = stats.t.isf(level, n - 1)
    assert found.green == pytest.approx(stats.nct.sf(critical, n - 1, distance * n**0.5), abs=1e-4)
    values = np.random.default_rng(0).normal(distance, 1.0, (40_000, n))
    t = values.mean(axis=1) / (values.std(axis=1, ddof=1) / n**0.5)
    assert found.green == pytest.approx((t >= critical).mean(), abs=0.01)
    assert found.red == pytest.approx((t <= -critical).mean(), abs=0.005)


def test_more_images_and_a_greater_distance_decide_more() -> None:
    rows = images_needed.mean_rows(BOUNDED)
    greens = np.array([[c.green for c in row.chances] for row in rows])
    assert (np.diff(greens, axis=0) >= -1e-12).all()
    assert (np.diff(greens[1:], axis=1) >= -1e-12).all()
    assert np.isfinite(greens).all()


def test_the_number_to_ask_is_the_least_that_stays_enough() -> None:
    for row in images_needed.share_rows(BOUNDED):
        if row.ask is None:
            assert row.share == row.bound
            continue
        level = ALPHA / len(SHARES)

        def green(n: int, row: images_needed.ShareRow = row, level: float = level) -> float:
            numbers = images_needed.numbers_that_decide(n, ">=", row.bound, level)
            return numbers.chances(row.share).green

        assert green(row.ask) >= 0.9
        assert green(row.ask - 1) < 0.9
