"""Geometry of states against SciPy, formulas written as loops, values by hand, and its own laws."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import distance

from lvlm_audit.metrics.geometry import (
    angular_distance,
    cka_to_final,
    cka_to_next,
    continuity,
    cosine_distance,
    debiased_cka,
    mean_of_pairs,
    pairwise_angles,
    spread,
)
from tests.effort import examples


def drawn(seed: int, tokens: int = 6, states: int = 5, width: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(tokens, states, width))


def hsic_1(x: np.ndarray, y: np.ndarray) -> float:
    """Song et al. 2012, eq. 5, with the traces and sums written out."""
    n = len(x)
    k = [[0.0 if i == j else float(x[i] @ x[j]) for j in range(n)] for i in range(n)]
    m = [[0.0 if i == j else float(y[i] @ y[j]) for j in range(n)] for i in range(n)]
    trace = sum(k[i][j] * m[j][i] for i in range(n) for j in range(n))
    both = sum(map(sum, k)) * sum(map(sum, m)) / ((n - 1) * (n - 2))
    chain = sum(k[i][j] * m[j][q] for i in range(n) for j in range(n) for q in range(n))
    return (trace + both - 2 * chain / (n - 2)) / (n * (n - 3))


class TestDistances:
    def test_are_scipys(self):
        x = drawn(0)
        for t, j in itertools.product(range(6), range(4)):
            cosine = distance.cosine(x[t, j], x[t, j + 1])
            assert cosine_distance(x)[t, j] == pytest.approx(cosine, abs=1e-12)
            assert angular_distance(x)[t, j] == pytest.approx(math.acos(1 - cosine) / math.pi)

    def test_by_hand(self):
        path = np.array([[[1, 0], [2, 0], [3, 3], [-1, 1], [1, -1]]], dtype=np.float16)
        np.testing.assert_allclose(angular_distance(path), [[0, 0.25, 0.5, 1]], atol=1e-15)
        half = math.sqrt(0.5)
        np.testing.assert_allclose(cosine_distance(path), [[0, 1 - half, 1, 2]], atol=1e-15)

    def test_a_state_without_direction_has_no_angle(self):
        path = np.array([[[1.0, 0.0], [0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]])
        np.testing.assert_array_equal(np.isnan(angular_distance(path)), [[True, True, False]])
        assert np.isnan(spread(np.concatenate([path, path]))).tolist() == [
            False,
            True,
            False,
            False,
        ]

    def test_small_turns_are_not_lost(self):
        turn = 1e-9
        pair = np.array([[[1.0, 0.0], [math.cos(turn), math.sin(turn)]]])
        assert angular_distance(pair)[0, 0] == pytest.approx(turn / math.pi, rel=1e-6)

    @given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
    @examples(40)
    def test_laws(self, seed, scale):
        x = drawn(seed)
        d = angular_distance(x)
        assert ((d >= 0) & (d <= 1)).all()
        np.testing.assert_allclose(angular_distance(x[:, ::-1]), d[:, ::-1], atol=1e-12)
        grown = x * (scale ** np.arange(5))[None, :, None]
        np.testing.assert_allclose(angular_distance(grown), d, atol=1e-9)
        # The angle on a sphere is a metric: a detour is never shorter.
        direct = angular_distance(x[:, [0, 2]])[:, 0]
        assert (direct <= d[:, 0] + d[:, 1] + 1e-12).all()


class TestSpread:
    def test_is_the_mean_of_scipys_pairs(self):
        x = drawn(1)
        for j in range(5):
            pairs = np.arccos(1 - distance.pdist(x[:, j], "cosine")) / np.pi
            assert spread(x)[j] == pytest.approx(pairs.mean())

    def test_by_hand(self):
        cross = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], dtype=np.float16)[:, None]
        # Four neighbours at a right angle, two opposite pairs.
        assert spread(cross)[0] == pytest.approx((4 * 0.5 + 2 * 1) / 6)
        assert spread(np.ones((3, 1, 4)))[0] == pytest.approx(0, abs=1e-7)
        assert np.isnan(spread(np.ones((1, 2, 4)))).all()

    def test_does_not_depend_on_how_many_tokens_there_are(self):
        x = np.random.default_rng(2).normal(size=(400, 1, 50)) + 0.3
        few = [spread(x[k : k + 4])[0] for k in range(0, 400, 4)]
        assert np.mean(few) == pytest.approx(spread(x)[0], abs=0.01)

    @given(st.integers(0, 2**32 - 1))
    @examples(40)
    def test_laws(self, seed):
        x = drawn(seed)
        value = spread(x)
        rng = np.random.default_rng(seed)
        lengths = rng.uniform(0.01, 100, (6, 5, 1))
        np.testing.assert_allclose(spread(x * lengths), value, atol=1e-9)
        np.testing.assert_allclose(spread(x[rng.permutation(6)]), value, atol=1e-12)
        turn, _ = np.linalg.qr(rng.normal(size=(8, 8)))
        np.testing.assert_allclose(spread(x @ turn), value, atol=1e-9)
        assert ((value >= 0) & (value <= 1)).all()

    def test_resampling_a_row_twice_makes_no_pair_of_it(self):
        x = drawn(3, tokens=3)
        angles = pairwise_angles(x)
        seen = mean_of_pairs(angles, np.array([[2.0, 1, 0], [3, 0, 0], [1, 1, 1]]))
        np.testing.assert_allclose(seen[0], angles[:, 0, 1])
        assert np.isnan(seen[1]).all()
        np.testing.assert_allclose(seen[2], spread(x))


class TestContinuity:
    @staticmethod
    def by_loops(x: np.ndarray) -> float:
        tokens, states, _ = x.shape
        at = [(t, j) for t in range(tokens) for j in range(states)]
        held = 0
        for t, j in at:
            apart = {o: distance.cosine(x[t, j], x[o]) for o in at if o != (t, j)}
            nearest = min(apart, key=lambda o: apart[o])
            held += nearest in {(t, j - 1), (t, j + 1)}
        return held / len(at)

    @pytest.mark.parametrize("seed", range(4))
    def test_is_what_a_search_of_all_pairs_finds(self, seed):
        steps = np.random.default_rng(seed).normal(size=(4, 7, 5))
        for x in (steps, np.cumsum(steps, axis=1)):
            found = continuity(x)
            assert found is not None
            assert found.share == pytest.approx(self.by_loops(x))

    def test_separate_paths_are_continuous(self):
        angle = np.linspace(0, 1, 9)
        arc = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        x = np.zeros((3, 9, 6))
        for t in range(3):
            x[t, :, 2 * t : 2 * t + 2] = arc * (t + 1)
        assert continuity(x).share == 1.0

    def test_chance_is_what_shuffled_states_give(self):
        x = np.random.default_rng(0).normal(size=(12, 20, 30))
        found = continuity(x)
        assert found.chance == pytest.approx(2 * 19 / 20 / (12 * 20 - 1))
        shares = [
            continuity(np.random.default_rng(s).normal(size=(12, 20, 30))).share for s in range(30)
        ]
        assert np.mean(shares) == pytest.approx(found.chance, abs=0.003)

    def test_where_there_is_nothing_to_compare(self):
        assert continuity(np.ones((1, 1, 3))) is None
        assert continuity(np.zeros((2, 3, 3))) is None
        assert continuity(np.eye(3)[:, None]).share == 0


class TestDebiasedCKA:
    @pytest.mark.parametrize("n", [4, 5, 9])
    def test_is_the_published_formula(self, n):
        rng = np.random.default_rng(n)
        x, y = rng.normal(size=(n, 6)), rng.normal(size=(n, 3)) + 2
        y[:, 0] += x[:, 0]
        expected = hsic_1(x, y) / math.sqrt(hsic_1(x, x) * hsic_1(y, y))
        assert debiased_cka(x, y) == pytest.approx(expected)

    def test_unrelated_wide_states_are_near_zero_where_the_plain_estimator_is_near_one(self):
        rng = np.random.default_rng(0)
        seen = [
            debiased_cka(rng.normal(size=(10, 500)), rng.normal(size=(10, 500))) for _ in range(40)
        ]
        assert abs(np.mean(seen)) < 0.1
        assert min(seen) < 0 < max(seen)

    def test_undefined(self):
        x = np.random.default_rng(0).normal(size=(5, 3))
        assert math.isnan(debiased_cka(x[:3], x[:3]))
        assert math.isnan(debiased_cka(x, np.ones((5, 3))))
        assert math.isnan(debiased_cka(np.full((5, 3), 7.3), x))

    @given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
    @examples(40)
    def test_laws(self, seed, scale):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(8, 5)), rng.normal(size=(8, 4))
        value = debiased_cka(x, y)
        assert value <= 1 + 1e-12
        assert debiased_cka(y, x) == pytest.approx(value)
        assert debiased_cka(x, x) == pytest.approx(1)
        turn, _ = np.linalg.qr(rng.normal(size=(5, 5)))
        shifted = scale * (x @ turn) + rng.normal(size=5)
        assert debiased_cka(shifted, y) == pytest.approx(value, abs=1e-6)

    def test_along_the_states(self):
        x = drawn(5)
        assert cka_to_final(x)[-1] == pytest.approx(1)
        assert cka_to_next(x)[3] == pytest.approx(cka_to_final(x)[3])
        assert cka_to_next(x)[1] == pytest.approx(debiased_cka(x[:, 1], x[:, 2]))
