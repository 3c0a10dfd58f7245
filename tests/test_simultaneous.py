"""Simultaneous intervals of many means, against a plain loop, SciPy, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from lvlm_audit.statistics import MIN_IMAGES, simultaneous


def test_against_a_plain_loop() -> None:
    draw = np.random.default_rng(0)
    values = draw.normal(size=(20, 6)).cumsum(axis=1)
    values[draw.random((20, 6)) < 0.2] = np.nan
    found = simultaneous(values, 0.9, seed=4, resamples=500)
    columns = [[x for x in column if not math.isnan(x)] for column in values.T.tolist()]
    means = [sum(c) / len(c) for c in columns]
    furthest = []
    for multipliers in np.random.default_rng(4).standard_normal((500, 20)):
        greatest = 0.0
        for j, mean in enumerate(means):
            away = [0.0 if math.isnan(x) else x - mean for x in values[:, j]]
            total = sum(g * a for g, a in zip(multipliers, away, strict=True))
            greatest = max(greatest, abs(total) / math.sqrt(sum(a * a for a in away)))
        furthest.append(greatest)
    level = 2 * stats.norm.sf(np.quantile(furthest, 0.9))
    assert 0.1 / 6 < level < 0.1
    for one, column, mean in zip(found, columns, means, strict=True):
        theirs = stats.ttest_1samp(column, 0).confidence_interval(1 - level)
        assert one.value == pytest.approx(mean)
        assert one.n == len(column)
        assert one.spread is not None
        assert (one.spread.low, one.spread.high) == pytest.approx(
            (theirs.low, theirs.high), rel=1e-6
        )


def test_one_column_is_a_t_interval_and_copies_cost_nothing() -> None:
    values = np.random.default_rng(1).normal(size=(15, 1))
    theirs = stats.ttest_1samp(values[:, 0], 0).confidence_interval(0.95)
    for k in (1, 30):
        one = simultaneous(np.repeat(values, k, axis=1), 0.95, seed=0)[-1]
        assert one.spread is not None
        assert (one.spread.low, one.spread.high) == pytest.approx(
            (theirs.low, theirs.high), rel=0.04
        )


def test_columns_that_say_little_have_no_interval() -> None:
    values = np.full((12, 4), np.nan)
    values[:, 0] = np.arange(12)
    values[: MIN_IMAGES - 1, 1] = range(MIN_IMAGES - 1)
    values[:, 2] = 0.1
    found = simultaneous(values, 0.95, seed=0)
    assert [m.n for m in found] == [12, 4, 12, 0]
    assert [m.spread is None for m in found] == [False, True, True, True]
    assert [found[0].value, found[1].value, found[2].value] == pytest.approx([5.5, 1.5, 0.1])
    assert math.isnan(found[3].value)
    assert simultaneous(np.zeros((0, 2)), 0.95, seed=0)[0].n == 0
    assert simultaneous(np.zeros((7, 0)), 0.95, seed=0) == []
    with pytest.raises(ValueError, match="simultaneous needs"):
        simultaneous(np.array([[np.inf]]), 0.95, seed=0)
    with pytest.raises(ValueError, match="simultaneous needs"):
        simultaneous(np.zeros(4), 0.95, seed=0)


@pytest.mark.parametrize("n", [8, 24, 96])
@pytest.mark.parametrize("kind", ["apart", "walk", "nearly the same", "heavy tails", "with gaps"])
def test_all_intervals_together_hold_the_truth(kind: str, n: int) -> None:
    k, audits = 20, 100
    draw = np.random.default_rng([n, len(kind)])
    held = single = 0
    for seed in range(audits):
        values = draw.standard_t(3, (n, k)) if kind == "heavy tails" else draw.normal(size=(n, k))
        if kind == "walk":
            values = values.cumsum(axis=1)
        elif kind == "nearly the same":
            values = values[:, :1] + 0.1 * values
        elif kind == "with gaps":
            values[draw.random((n, k)) < 0.2] = np.nan
        found = simultaneous(values, 0.95, seed=seed, resamples=400)
        spreads = [m.spread for m in found if m.spread is not None]
        held += all(s.low <= 0 <= s.high for s in spreads)
        single += spreads[0].low <= 0 <= spreads[0].high
    # Four standard errors of the simulation below 92 %.
    assert held / audits >= 0.92 - 4 * math.sqrt(0.92 * 0.08 / audits)
    assert single >= held
