"""How often the printed interval of a mean or of a share of tokens holds the truth, by simulation.

The default run draws few samples; `pytest -m slow tests/test_coverage.py -s` draws many and prints the
figures. Bounds leave four standard errors of the simulation below 93 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from lvlm_audit.statistics import cluster_mean

Draw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray | None]]
UNIT, LINE = (0.0, 1.0), (-math.inf, math.inf)
IMAGES = (5, 8, 12, 24)


def tokens(rng: np.random.Generator, n: int) -> np.ndarray:
    """Unequal numbers of tokens, independent of what they say."""
    return rng.integers(3, 15, n).astype(float)


def alike(share: float, likeness: float) -> Draw:
    """Tokens that hold by a share of their image: beta-binomial with this intra-class correlation."""

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        counted = tokens(rng, n)
        size = 1 / likeness - 1
        of = rng.beta(share * size, (1 - share) * size, n)
        return rng.binomial(counted.astype(int), of).astype(float), counted

    return draw


def whole(share: float) -> Draw:
    """Images of which all tokens hold, or none."""
    return lambda rng, n: (10.0 * (rng.random(n) < share), np.full(n, 10.0))


MEANS: dict[str, tuple[Draw, float, tuple[float, float]]] = {
    "normal": (lambda rng, n: (rng.normal(0.3, 1.0, n), None), 0.3, LINE),
    "normal, bounded": (lambda rng, n: (rng.normal(0.3, 0.05, n), None), 0.3, (-1.0, 1.0)),
    "beta 2, 5": (lambda rng, n: (rng.beta(2, 5, n), None), 2 / 7, UNIT),
    "beta 5, 2": (lambda rng, n: (rng.beta(5, 2, n), None), 5 / 7, UNIT),
    "beta 0.5, 0.5": (lambda rng, n: (rng.beta(0.5, 0.5, n), None), 0.5, UNIT),
}
SHARES: dict[str, tuple[Draw, float, tuple[float, float]]] = {
    "images wholly, 0.5": (whole(0.5), 0.5, UNIT),
    "images wholly, 0.8": (whole(0.8), 0.8, UNIT),
    "images wholly, 0.95": (whole(0.95), 0.95, UNIT),
    "tokens 0.1, alike 0.05": (alike(0.1, 0.05), 0.1, UNIT),
    "tokens 0.1, alike 0.3": (alike(0.1, 0.3), 0.1, UNIT),
    "tokens 0.5, alike 0.3": (alike(0.5, 0.3), 0.5, UNIT),
    "tokens 0.7, alike 0.5": (alike(0.7, 0.5), 0.7, UNIT),
}
CASES = {**MEANS, **SHARES}


def coverage(name: str, n: int, draws: int) -> float:
    """Share of draws whose 95 % interval holds the truth."""
    draw, truth, support = CASES[name]
    rng = np.random.default_rng([n, len(name)])
    covered = 0
    for seed in range(draws):
        values, weights = draw(rng, n)
        spread = cluster_mean(
            values, weights, support=support, seed=seed, is_share=name in SHARES, resamples=1000
        ).spread(0.95)
        covered += spread.low <= truth <= spread.high
    return covered / draws


def least(draws: int) -> float:
    return 0.93 - 4 * math.sqrt(0.93 * 0.07 / draws)


@pytest.mark.parametrize("n", [5, 12])
@pytest.mark.parametrize(
    "name", ["normal", "beta 2, 5", "images wholly, 0.8", "tokens 0.1, alike 0.3"]
)
def test_the_interval_holds_the_truth_as_often_as_it_says(name: str, n: int) -> None:
    assert coverage(name, n, 300) >= least(300)


def test_a_bootstrap_alone_would_not() -> None:
    """What the hull with t is for: of five images, the percentile bootstrap alone covers about 83 %."""
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(400):
        mean = cluster_mean(rng.normal(0.3, 1.0, 5), support=LINE, seed=seed, resamples=1000)
        low, high = np.quantile(mean.replicates, [0.025, 0.975])
        covered += low <= 0.3 <= high
    assert covered / 400 < 0.90


@pytest.mark.slow
@pytest.mark.parametrize("n", IMAGES)
@pytest.mark.parametrize("name", CASES)
def test_the_interval_holds_the_truth_in_many_draws(name: str, n: int) -> None:
    rate = coverage(name, n, 4000)
    print(f"{name}, {n} images: {rate:.3f}")
    assert rate >= least(4000)
