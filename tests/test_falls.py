"""The reading "falls and stays low": published curves have it, curves without one place do not.

Nulls are drawn per token and per image, where the rule has to hold, and once for a whole model, where halves
of the images cannot help: that rate is printed, not bounded.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta

from lvlm_audit.readings.answers import stage_reading
from lvlm_audit.stages import FALLS_AND_STAYS_LOW, INCONCLUSIVE, NO_PATTERN, find_stages
from lvlm_audit.stages.falls import fall_width, read_fall
from lvlm_audit.stages.summary import Images
from tests import synthetic

PUBLISHED = Path(__file__).parent / "reference_data" / "llava15_7b_divergence_scaled.csv"
IMAGES, TOKENS = 8, 10
N = IMAGES * TOKENS
CLUSTERS = np.repeat(np.arange(IMAGES), TOKENS)


def falls(divergence: np.ndarray, clusters: np.ndarray = CLUSTERS) -> bool:
    images = Images(clusters, divergence.shape[1], 0.95, 0)
    return read_fall(divergence, images).pattern == FALLS_AND_STAYS_LOW


def test_the_published_heat_map_falls_where_its_readers_say() -> None:
    stages = find_stages(divergence=np.loadtxt(PUBLISHED, delimiter=","))
    assert stages.fall is not None
    assert stages.fall.pattern == FALLS_AND_STAYS_LOW, stages.fall.evidence
    assert stages.fall.critical_state == pytest.approx(19, abs=1)
    # The strict rule is as it was: nothing is level before it.
    assert (stages.pattern, stages.critical_layer, stages.mutation_layers) == (NO_PATTERN, None, ())


@pytest.mark.parametrize("seed", range(10))
def test_half_of_the_published_rows_say_the_same(seed: int) -> None:
    rows = np.random.default_rng(seed).choice(
        np.loadtxt(PUBLISHED, delimiter=","), 8, replace=False
    )
    fall = find_stages(divergence=rows).fall
    assert fall is not None
    assert fall.critical_state == pytest.approx(19, abs=1)


def planted(rng: np.random.Generator, blocks: int, at: int, noise: float) -> np.ndarray:
    """Wandering with a hump before `at`, below a tenth after it, with bursts and a raised last transition."""
    x = np.linspace(0, 1, at)
    hump = 0.45 + 0.3 * np.sin(np.pi * x * rng.uniform(0.5, 1.1))
    # How quiet differs by token, as in tests/test_stages.py.
    rows = 0.02 * rng.lognormal(0, 1, (N, blocks))
    rows[:, :at] = hump * rng.uniform(0.6, 1.4, (N, at))
    rows[np.arange(N), rng.integers(at, blocks, N)] = rng.uniform(0.3, 0.8, N)
    rows[:, -1] = 0.3
    return np.maximum(rows + rng.normal(0, noise, rows.shape), 0)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("blocks", "at"), [(20, 12), (24, 10), (32, 19), (48, 30), (80, 50)])
def test_a_planted_fall_is_found_in_both_views(blocks: int, at: int, scaled: bool) -> None:
    for seed in range(5):
        rows = planted(np.random.default_rng(seed), blocks, at, 0.01)
        fall = find_stages(
            divergence=rows / rows.max(axis=0) if scaled else rows, clusters=CLUSTERS
        ).fall
        assert fall is not None
        assert fall.pattern == FALLS_AND_STAYS_LOW, (seed, fall.evidence)
        assert fall.critical_state == pytest.approx(at, abs=1)


def shape(kind: str, blocks: int, rng: np.random.Generator) -> np.ndarray:
    """[L] a curve within [0, 1] that does not fall at one place and stay low, but by chance."""
    x = np.linspace(0, 1, blocks)
    if kind == "ramp":
        return 1 - rng.uniform(0.7, 1) * x
    if kind == "slow decay":
        return np.exp(-x / rng.uniform(0.15, 0.6))
    if kind == "sawtooth":
        teeth = (x * rng.integers(1, 5) + rng.uniform()) % 1
        return teeth if rng.random() < 0.5 else 1 - teeth
    if kind == "hump":
        return np.exp(-(((x - rng.uniform(0.3, 0.7)) / rng.uniform(0.1, 0.25)) ** 2))
    walk = np.cumsum(rng.normal(size=blocks))
    if kind == "exponential of a walk":
        return np.exp(rng.uniform(0.2, 0.5) * (walk - walk.max()))
    if kind == "red noise":
        keeps = rng.uniform(0.7, 0.98)
        walk = np.array([keeps**k for k in range(blocks)])
        walk = np.convolve(rng.normal(size=blocks), walk)[:blocks]
    return (walk - walk.min()) / np.ptp(walk)


KINDS = [
    "ramp",
    "slow decay",
    "sawtooth",
    "hump",
    "random walk",
    "red noise",
    "exponential of a walk",
]


def claims(kind: str, shared: str, blocks: int, draws: int) -> int:
    """Draws of a null that are said to fall, unscaled or with each column scaled by its maximum."""
    rng = np.random.default_rng([blocks, len(kind), len(shared)])
    curves = {"all": 1, "image": IMAGES, "token": N}[shared]
    claimed = 0
    for draw in range(draws):
        rows = np.repeat([shape(kind, blocks, rng) for _ in range(curves)], N // curves, axis=0)
        rows = np.maximum(rows + rng.normal(0, rng.uniform(0.01, 0.1), rows.shape), 0)
        claimed += falls(rows / rows.max(axis=0) if draw % 2 else rows)
    return claimed


@pytest.mark.parametrize("shared", ["image", "token"])
@pytest.mark.parametrize("kind", KINDS)
def test_nulls_of_tokens_and_images_do_not_fall(kind: str, shared: str) -> None:
    assert claims(kind, shared, blocks=32, draws=30) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [16, 20, 32, 80])
@pytest.mark.parametrize("shared", ["image", "token", "all"])
@pytest.mark.parametrize("kind", KINDS)
def test_nulls_do_not_fall_in_1000_draws(kind: str, shared: str, blocks: int) -> None:
    claimed = claims(kind, shared, blocks, draws=1000)
    upper = float(beta.ppf(0.975, claimed + 1, 1000 - claimed))
    print(
        f"{kind}, one curve per {shared}, {blocks} blocks: {claimed} of 1000, at most {upper:.1%}"
    )
    # One curve for all says nothing that halves could contradict: reported as what it is.
    assert shared == "all" or upper <= 0.05


def test_a_rise_and_what_is_flat_or_nothing_do_not_fall() -> None:
    rng = np.random.default_rng(0)
    for level in (np.zeros(32), np.full(32, 0.5), np.linspace(0, 1, 32) > 0.6):
        assert not falls(np.maximum(level + rng.normal(0, 0.02, (N, 32)), 0))
    assert not falls(np.zeros((N, 32)))


def test_a_fall_that_the_halves_have_elsewhere_is_none() -> None:
    rows = planted(np.random.default_rng(0), 32, 12, 0.02)
    other = planted(np.random.default_rng(0), 32, 22, 0.02)
    second = np.isin(CLUSTERS, np.unique(CLUSTERS)[1::2])
    for split in (second, CLUSTERS < IMAGES // 2):
        assert not falls(np.where(split[:, None], rows, other))


def test_too_few_images_or_blocks_are_said() -> None:
    rows = planted(np.random.default_rng(0), 32, 19, 0.02)
    few = find_stages(divergence=rows, clusters=np.arange(N) % 4).fall
    assert few is not None
    assert (few.pattern, few.critical_state) == (INCONCLUSIVE, None)
    shallow = find_stages(divergence=rows[:, :13], clusters=CLUSTERS).fall
    assert shallow is not None
    assert shallow.pattern == NO_PATTERN
    assert "13 blocks are too few for quartiles" in shallow.evidence
    assert (fall_width(14), fall_width(32), fall_width(80)) == (2, 2, 5)


def test_without_divergence_there_is_no_such_reading() -> None:
    assert find_stages(probability=np.zeros((N, 33)), clusters=CLUSTERS).fall is None


def test_the_document_holds_the_reading_beside_the_levels_and_the_note_says_it() -> None:
    rows = np.minimum(planted(np.random.default_rng(0), 30, 18, 0.01), 1.0)
    curve = [0.0] * 18 + [0.9] * 13
    for divergence, pattern in ((rows, FALLS_AND_STAYS_LOW), (np.full((N, 30), 0.2), NO_PATTERN)):
        traces = [
            synthetic.trace(curve, name=f"p{k}", divergence=divergence[k]) for k in range(0, N, 5)
        ]
        reading = stage_reading(find_stages(traces))
        assert [level.name for level in reading.levels] == [
            "probability",
            "distribution",
            "feature",
        ]
        assert reading.fall is not None
        assert reading.fall.pattern == pattern
        assert (reading.fall.evidence in reading.note) is (pattern == FALLS_AND_STAYS_LOW)
