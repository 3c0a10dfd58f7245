"""How often the whole rule is red where nothing was lost, and whether it sees a loss: by simulation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import beta

from lvlm_audit.comparing.family import ALPHA, _levels
from lvlm_audit.comparing.loss import Loss
from lvlm_audit.document import Outcome
from lvlm_audit.statistics import Tolerance, counts_change, net_change, quantity_change

Draw = Callable[[np.random.Generator, int], np.ndarray]

MOVES: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(0, 0.4, n),
    "heavy tails": lambda rng, n: 0.2 * rng.standard_t(2.5, n),
    "mostly none": lambda rng, n: rng.normal(0, 1, n) * (rng.random(n) < 0.15),
}


def family(rng: np.random.Generator, n: int, draw: Draw, lost: float) -> list[Loss]:
    """Four readings of one change: answers with their words, wrong words, surprisal, advantage."""
    # Of 80 % right answers 6 % are lost, of 20 % wrong ones 24 % gained: none in all.
    flips, back = rng.random(n) < 0.06 + lost, rng.random(n) < 0.24
    before = rng.random(n) < 0.8
    now = np.where(before, ~flips, back)
    asked = rng.integers(1, 5, n)
    words = [np.where(side, asked, asked // 2).astype(float) for side in (now, before)]
    shared = draw(rng, n)
    surprisal = rng.gamma(1.0, 0.4, n)
    advantage = rng.gamma(2.0, 2.0, n)
    plain = {"rises": False, "rate": True, "unit": "share"}
    finer = Loss(
        noun="words",
        change=counts_change(*words, asked.astype(float), seed=0, resamples=1000),
        tolerance=Tolerance.points(0.05),
        **plain,
    )
    return [
        Loss(
            noun="right answers",
            change=net_change(now, before, range(n)),
            tolerance=Tolerance.points(0.05),
            finer=finer,
            **plain,
        ),
        Loss(
            noun="surprisal",
            change=quantity_change(
                -(surprisal + np.abs(shared) * np.sign(draw(rng, n)) + 2 * lost),
                -surprisal,
                seed=0,
                resamples=1000,
            ),
            tolerance=Tolerance.points(0.32),
            rises=True,
            rate=False,
            unit="bits",
        ),
        Loss(
            noun="advantage",
            change=quantity_change(
                advantage + shared - 6 * lost, advantage, seed=0, resamples=1000
            ),
            tolerance=Tolerance.drop(0.2),
            rises=False,
            rate=False,
            unit="bits",
        ),
    ]


def red(rng: np.random.Generator, n: int, draw: Draw, lost: float) -> bool:
    tested = _levels(family(rng, n, draw, lost), ALPHA)
    return any(one.outcome is Outcome.SHOWN for one in tested)


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("n", [8, 24, 48])
def test_where_nothing_is_lost_red_is_rare(move: str, n: int) -> None:
    rng = np.random.default_rng([n, len(move)])
    draws = 150
    alarms = sum(red(rng, n, MOVES[move], 0.0) for _ in range(draws))
    # Lower end of the 99 % Clopper-Pearson interval: the rate is not shown to exceed the family's.
    low = beta.ppf(0.01, alarms, draws - alarms + 1) if alarms else 0.0
    assert low <= 0.025


@pytest.mark.parametrize("move", MOVES)
def test_half_of_the_right_answers_lost_is_seen(move: str) -> None:
    rng = np.random.default_rng(len(move))
    assert sum(red(rng, 48, MOVES[move], 0.5) for _ in range(20)) == 20
