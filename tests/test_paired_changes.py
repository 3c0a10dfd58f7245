"""Paired changes: three-valued, from few images, against SciPy, enumeration and laws."""

from __future__ import annotations

import numpy as np
import pytest

from lvlm_audit.statistics import Tolerance, net_change, quantity_change


@pytest.mark.parametrize("n", [8, 23, 24, 48])
def test_unchanged_images_exclude_what_the_rule_of_three_excludes(n: int) -> None:
    same = np.random.default_rng(n).uniform(1, 9, n)
    change = quantity_change(same, same, seed=0)
    assert change.p_excluded(Tolerance.drop(0.2)) == pytest.approx(max(0.8**n, 1 / 4001))
    assert change.p_shown(Tolerance.drop(0.2)) == 1.0
    pairs = net_change([True] * n, [True] * n, range(n))
    assert pairs.p_excluded(Tolerance.points(0.05)) == pytest.approx(0.95**n)
