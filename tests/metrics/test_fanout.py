"""Neck and body of a spread, planted and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lvlm_audit.metrics.fanout import fan_out


def step(states: int = 33, at: int = 20, neck: float = 0.1, body: float = 0.4) -> np.ndarray:
    curve = np.full((1, states), neck)
    curve[:, at:] = body
    return curve


def test_a_step_by_hand():
    fit = fan_out(step())
    assert (fit.state[0], fit.clear[0]) == (20, True)
    assert (fit.neck[0], fit.body[0]) == pytest.approx((0.1, 0.4))
    assert np.isnan(fit.closes[0])
    assert fit.common_flaw() is None


def test_the_first_and_the_last_state_do_not_count():
    curve = step()
    curve[:, 0], curve[:, -1] = 0.9, 0.0
    assert fan_out(curve).state[0] == 20
    curve = step(at=32)
    assert np.isnan(fan_out(curve).state[0])


def test_the_scale_does_not_count():
    noise = np.random.default_rng(0).normal(0, 0.02, (6, 33))
    curve = step() + np.abs(noise)
    one, thousand = fan_out(curve), fan_out(1000 * curve)
    np.testing.assert_array_equal(one.state, thousand.state)
    np.testing.assert_allclose(1000 * one.neck, thousand.neck)


def test_a_body_that_narrows_a_little_goes_on_and_one_that_narrows_much_is_said():
    curve = step()
    curve[:, 26:] = 0.35
    assert np.isnan(fan_out(curve).closes[0])
    curve[:, 26:] = 0.28
    assert (fan_out(curve).closes[0], fan_out(curve).clear[0]) == (26, True)


@pytest.mark.parametrize(
    ("curve", "flaw"),
    [
        (np.linspace(0.1, 0.6, 33)[None], "gradually"),
        (step(at=2), "wide from the beginning"),
        (step(at=30), "very end"),
        (np.interp(np.arange(33), [0, 10, 26, 33], [0.1, 0.1, 0.4, 0.4])[None], "gradually"),
        (np.where(np.abs(np.arange(33) - 15) < 5, 0.4, 0.1)[None], "closes again"),
        (np.where(np.arange(33) < 20, np.arange(33) % 8 / 40, 0.6)[None], None),
    ],
)
def test_what_speaks_against_it(curve, flaw):
    fit = fan_out(curve)
    assert fit.clear[0] == (flaw is None)
    if flaw is not None:
        assert flaw in (fit.common_flaw() or "")


@pytest.mark.parametrize(
    "curve",
    [
        np.full((1, 33), 0.3),
        step(neck=0.21),
        step()[:, ::-1],
        np.full((1, 33), np.nan),
        np.ones((2, 5)),
    ],
)
def test_what_never_widens_to_twice_its_width(curve):
    fit = fan_out(curve)
    assert np.isnan(fit.state).all()
    assert not fit.clear.any()
    assert fit.common_flaw() is None
