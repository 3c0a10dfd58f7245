"""The stage finder on curves whose stages are known, and on curves that have none.

Noise has a standard deviation of a tenth of the step. Nulls are autocorrelated: against white noise any
smooth curve would look like a pattern (docs/method.md#controls). The committed draws are few and seeded;
`pytest -m slow tests/test_stages.py` takes 400 of each.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from lvlm_audit.errors import TraceError
from lvlm_audit.stages import (
    INCONCLUSIVE,
    NO_PATTERN,
    NOT_MEASURED,
    RISE_AND_PLATEAU,
    RISE_ONLY,
    THREE_STAGES,
    Stages,
    find_stages,
)
from tests import synthetic

IMAGES, TOKENS = 8, 10
N = IMAGES * TOKENS
CLUSTERS = np.repeat(np.arange(IMAGES), TOKENS)
PLACES = [(9, 3, 6), (12, 5, 9), (20, 3, 6), (32, 20, 27), (48, 24, 40), (80, 30, 50), (80, 40, 43)]
LAST = [(20, 14, 18), (32, 3, 29), (80, 74, 77), (80, 60, 78)]


def planted(
    rng: np.random.Generator,
    blocks: int,
    critical: int,
    mutation: int,
    *,
    late: str = "partly",
    scaled: bool = False,
    jitter: int = 0,
    height: float = 0.8,
) -> tuple[np.ndarray, np.ndarray]:
    """Probability [N, L+1] and divergence [N, L] of tokens with three stages."""
    probability, divergence = np.zeros((N, blocks + 1)), np.zeros((N, blocks))
    for i in range(N):
        c, m = np.array([critical, mutation]) + rng.integers(-jitter, jitter + 1, 2)
        probability[i, c:] = 1.0
        divergence[i, :c] = 1.0
        if late in ("partly", "wholly"):
            probability[i, m:] = 0.5 if late == "partly" else 0.0
            divergence[i, m - 1 :] = 1.0
        elif late == "restless":
            probability[i, m:] = rng.uniform(0, 1, blocks + 1 - m)
            divergence[i, m - 1 :] = rng.uniform(0.5, 1, blocks + 1 - m)
        else:  # one dip of one state, one burst, differing by token
            at = rng.integers(m, min(m + 6, blocks))
            probability[i, at] = 0.3
            divergence[i, at - 1] = 1.0
    probability = np.clip(height * (probability + rng.normal(0, 0.1, probability.shape)), 0, 1)
    divergence = np.maximum(divergence + rng.normal(0, 0.1, divergence.shape), 0)
    return probability, divergence / divergence.max(axis=0) if scaled else divergence


def recovered(stages: Stages, critical: int, mutation: int) -> bool:
    return (
        stages.pattern == THREE_STAGES
        and stages.critical_layer is not None
        and abs(stages.critical_layer - critical) <= 1
        and abs(stages.mutation_layers[0] - mutation) <= 1
    )


@pytest.mark.parametrize("late", ["partly", "wholly", "restless", "single"])
@pytest.mark.parametrize(("blocks", "critical", "mutation"), PLACES + LAST)
def test_planted_stages_are_recovered(blocks: int, critical: int, mutation: int, late: str) -> None:
    rng = np.random.default_rng([blocks, critical, mutation])
    probability, divergence = planted(rng, blocks, critical, mutation, late=late)
    both = find_stages(probability=probability, divergence=divergence, clusters=CLUSTERS)
    assert recovered(both, critical, mutation), both.evidence
    assert both.levels_agree is True
    for given in ({"probability": probability}, {"divergence": 1e-3 * divergence}):
        alone = find_stages(clusters=CLUSTERS, **given)
        assert recovered(alone, critical, mutation), alone.evidence


@pytest.mark.parametrize("late", ["partly", "single"])
@pytest.mark.parametrize(("blocks", "critical", "mutation"), PLACES)
def test_columns_scaled_by_their_maximum_keep_their_stages(
    blocks: int, critical: int, mutation: int, late: str
) -> None:
    rng = np.random.default_rng([blocks, critical, mutation, 1])
    _, divergence = planted(rng, blocks, critical, mutation, late=late, scaled=True)
    stages = find_stages(divergence=divergence, clusters=CLUSTERS)
    assert recovered(stages, critical, mutation), (stages.mutation_layers, stages.evidence)


@pytest.mark.parametrize(("blocks", "critical", "mutation"), [(20, 8, 14), (32, 20, 27)])
def test_nodes_that_differ_by_token_are_recovered(
    blocks: int, critical: int, mutation: int
) -> None:
    rng = np.random.default_rng([blocks, critical])
    probability, divergence = planted(rng, blocks, critical, mutation, jitter=1)
    for given in ({"probability": probability}, {"divergence": divergence}):
        assert recovered(find_stages(clusters=CLUSTERS, **given), critical, mutation)


@pytest.mark.parametrize(
    ("blocks", "start", "top", "mutation"), [(20, 5, 8, 15), (32, 18, 21, 27), (80, 30, 36, 50)]
)
def test_a_rise_may_take_some_states(blocks: int, start: int, top: int, mutation: int) -> None:
    curve = np.interp(np.arange(blocks + 1), [start - 1, top], [0.0, 0.8])
    curve[mutation:] = 0.4
    noise = np.random.default_rng(blocks).normal(0, 0.08, (N, blocks + 1))
    stages = find_stages(probability=np.clip(curve + noise, 0, 1), clusters=CLUSTERS)
    assert recovered(stages, (start + top) // 2 + 1, mutation), stages.evidence


def shape(kind: str, blocks: int, rng: np.random.Generator) -> np.ndarray:
    """[L+1] a curve within [0, 1] that has no three stages."""
    x = np.linspace(0, 1, blocks + 1)
    if kind == "ramp":
        return x
    if kind == "hump":
        return np.exp(-(((x - rng.uniform(0.3, 0.7)) / rng.uniform(0.1, 0.25)) ** 2))
    if kind == "rise without plateau":
        start = rng.uniform(0.2, 0.8)
        return np.clip((x - start) / (1 - start), 0, 1)
    walk = np.cumsum(rng.normal(size=blocks + 1))
    return (walk - walk.min()) / np.ptp(walk)


def null(kind: str, shared: str, blocks: int, rng: np.random.Generator) -> np.ndarray:
    curves = {"all": 1, "image": IMAGES, "token": N}[shared]
    rows = np.repeat([shape(kind, blocks, rng) for _ in range(curves)], N // curves, axis=0)
    return np.clip(rows + rng.normal(0, 0.1, rows.shape), 0, 1)


NULLS = [
    (kind, shared)
    for kind in ("ramp", "hump", "random walk", "rise without plateau")
    for shared in (("all",) if kind == "ramp" else ("all", "image", "token"))
]


def claims(kind: str, shared: str, blocks: int, draws: int) -> dict[str, float]:
    """Share of draws in which a null is said to have stages, by level."""
    rng = np.random.default_rng([blocks, len(kind), len(shared)])
    claimed = {"probability": 0, "distribution": 0}
    for _ in range(draws):
        curve = null(kind, shared, blocks, rng)
        # As divergence the same shapes upside down: what rises to no plateau falls to none.
        fall = curve[:, 1:] if kind in ("hump", "random walk") else 1 - curve[:, 1:]
        for given in ({"probability": curve}, {"divergence": fall}):
            stages = find_stages(clusters=CLUSTERS, **given)
            plateau = stages.pattern in (RISE_AND_PLATEAU, THREE_STAGES)
            rises = kind == "rise without plateau"
            claimed[stages.leading] += plateau if rises else stages.critical_layer is not None
    return {level: count / draws for level, count in claimed.items()}


@pytest.mark.parametrize("blocks", [10, 32])
@pytest.mark.parametrize(("kind", "shared"), NULLS)
def test_autocorrelated_nulls_have_no_stages(kind: str, shared: str, blocks: int) -> None:
    rates = claims(kind, shared, blocks, draws=40)
    assert max(rates.values()) <= 0.05, rates


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [9, 10, 12, 20, 32, 80])
@pytest.mark.parametrize(("kind", "shared"), NULLS)
def test_autocorrelated_nulls_have_no_stages_in_400_draws(
    kind: str, shared: str, blocks: int
) -> None:
    rates = claims(kind, shared, blocks, draws=400)
    print(f"{kind}, one curve per {shared}, {blocks} blocks: {rates}")
    assert max(rates.values()) <= 0.05, rates


@pytest.mark.slow
@pytest.mark.parametrize("late", ["partly", "wholly", "restless", "single"])
def test_planted_stages_are_recovered_in_many_draws(late: str) -> None:
    rng = np.random.default_rng(0)
    good = total = 0
    for place in PLACES + LAST:
        for _ in range(20):
            probability, divergence = planted(rng, *place, late=late)
            for given in ({"probability": probability}, {"divergence": divergence}):
                good += recovered(find_stages(clusters=CLUSTERS, **given), *place[1:])
                total += 1
    print(f"{late}: {good} of {total}")
    assert good >= 0.98 * total


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_what_does_not_move_has_no_stages(level: float) -> None:
    stages = find_stages(
        probability=np.full((N, 13), level), divergence=np.full((N, 12), level), clusters=CLUSTERS
    )
    for name in ("probability", "distribution"):
        assert stages.by_level[name].pattern == NO_PATTERN
    assert (stages.critical_layer, stages.mutation_layers) == (None, ())
    assert stages.levels_agree is None
    assert stages.by_level["feature"].pattern == NOT_MEASURED


def test_white_noise_and_a_curve_high_from_the_start_have_no_stages() -> None:
    rng = np.random.default_rng(4)
    noise = np.clip(rng.normal(0.5, 0.2, (N, 33)), 0, 1)
    high = np.clip(rng.normal(0.8, 0.08, (N, 33)), 0, 1)
    for curve in (noise, high):
        for given in ({"probability": curve}, {"divergence": curve}):
            assert find_stages(clusters=CLUSTERS, **given).pattern == NO_PATTERN


def llava_like(
    rng: np.random.Generator, *, early: str = "even", by: str = "token", noise: float = 0.02
) -> tuple[np.ndarray, np.ndarray]:
    """As published for LLaVA-1.5-7B: rises at 20-26 and single bursts at 26-31 that differ by token.

    Args:
        early: how divergence runs before it collapses after transition 18: "even", "falling", "growing".
        by: whether each "token" rises at a state of its own, or the tokens of an "image" together.
        noise: standard deviation on probability; half of it on divergence.
    """
    probability, divergence = np.zeros((N, 33)), np.zeros((N, 32))
    height = {"even": (0.65, 0.65), "falling": (0.9, 0.5), "growing": (0.5, 0.85)}[early]
    together = rng.integers(20, 27, IMAGES)
    for i in range(N):
        rise = together[CLUSTERS[i]] if by == "image" else rng.integers(20, 27)
        probability[i] = 0.9 / (1 + np.exp(-(np.arange(33) - rise + 0.5) / 0.5))
        divergence[i, :19] = np.linspace(*height, 19) * rng.uniform(0.6, 1.4, 19)
        # Quiet transitions differ in how quiet they are: one scale for all would hide that from the
        # view in which each is scaled by its own maximum.
        divergence[i, 19:] = 0.02 * rng.lognormal(0, 1, 13)
        burst = rng.integers(26, 32)
        probability[i, burst], divergence[i, burst - 1] = 0.3, rng.uniform(0.4, 0.8)
    probability = np.clip(probability + rng.normal(0, noise, probability.shape), 0, 1)
    return probability, np.maximum(divergence + rng.normal(0, noise / 2, divergence.shape), 0)


@pytest.mark.parametrize("early", ["even", "falling", "growing"])
@pytest.mark.parametrize("noise", [0.02, 0.09])
@pytest.mark.parametrize("seed", range(3))
def test_curves_like_the_published_ones(seed: int, noise: float, early: str) -> None:
    probability, divergence = llava_like(np.random.default_rng(seed), early=early, noise=noise)
    stages = find_stages(probability=probability, divergence=divergence, clusters=CLUSTERS)
    below = stages.by_level["distribution"]
    assert stages.pattern == below.pattern == THREE_STAGES, (stages.evidence, below.evidence)
    assert stages.critical_layer in range(20, 25)
    assert below.critical_state == pytest.approx(19, abs=1)
    for states in (stages.mutation_layers, below.mutation_states):
        assert states
        assert set(states) <= set(range(26, 32))
    assert stages.levels_agree is True


@pytest.mark.parametrize("early", ["even", "falling", "growing"])
@pytest.mark.parametrize("seed", range(3))
def test_published_curves_keep_their_collapse_where_each_transition_is_scaled(
    seed: int, early: str
) -> None:
    _, divergence = llava_like(np.random.default_rng(seed), early=early)
    stages = find_stages(divergence=divergence / divergence.max(axis=0), clusters=CLUSTERS)
    assert stages.pattern == THREE_STAGES, stages.evidence
    assert stages.critical_layer in (18, 19, 20)
    assert stages.mutation_layers
    assert set(stages.mutation_layers) <= set(range(26, 32))


@pytest.mark.parametrize("seed", range(5))
def test_whether_the_levels_agree_is_a_finding_of_its_own(seed: int) -> None:
    """Images that rise together leave the probability level's state to eight images: either may be."""
    probability, divergence = llava_like(np.random.default_rng(seed), by="image")
    stages = find_stages(probability=probability, divergence=divergence, clusters=CLUSTERS)
    levels = [stages.by_level[k].critical_state for k in ("probability", "distribution")]
    assert levels[0] in np.arange(20, 26.5, 0.5)
    assert levels[1] == pytest.approx(19, abs=1)
    # 15 % of 32 blocks.
    assert stages.levels_agree is (abs(levels[0] - levels[1]) <= 4.8)


def test_levels_that_disagree_say_so_and_keep_their_own_states() -> None:
    probability, divergence = planted(np.random.default_rng(0), 32, 20, 27)
    _, early = planted(np.random.default_rng(0), 32, 10, 27)
    stages = find_stages(probability=probability, divergence=early, clusters=CLUSTERS)
    assert stages.levels_agree is False
    assert stages.critical_layer == 20
    assert stages.by_level["distribution"].critical_state == pytest.approx(10, abs=1)
    assert find_stages(
        probability=probability, divergence=divergence, clusters=CLUSTERS
    ).levels_agree


@pytest.mark.parametrize("images", [1, 4])
def test_published_curves_of_few_images_are_inconclusive(images: int) -> None:
    """The paper's own figures are single images."""
    probability, divergence = llava_like(np.random.default_rng(0))
    stages = find_stages(
        probability=probability, divergence=divergence, clusters=np.arange(N) % images
    )
    assert (stages.pattern, stages.critical_layer) == (INCONCLUSIVE, None)
    assert stages.mutation_layers == ()
    assert stages.levels_agree is None
    for name in ("probability", "distribution"):
        spread = stages.by_level[name].critical.spread
        assert (spread.low, spread.high, spread.method) == (0.0, 32.0, "full range")


def coloured(rng: np.random.Generator, shape: tuple[int, int], colour: str) -> np.ndarray:
    """Noise of standard deviation 1 that is not white along the depth, or not normal."""
    rows, points = shape
    white = rng.normal(size=(rows, points + 1))
    if colour == "blue":
        return np.diff(white, axis=1) / np.sqrt(2)
    if colour == "heavy-tailed":
        return rng.standard_t(4, shape) / np.sqrt(2)
    red = white[:, 1:].copy()
    for j in range(1, points):
        red[:, j] = 0.6 * red[:, j - 1] + 0.8 * white[:, j + 1]
    return red


@pytest.mark.parametrize("colour", ["red", "blue", "heavy-tailed"])
@pytest.mark.parametrize(
    ("blocks", "critical", "mutation"), [(9, 3, 6), (14, 5, 10), (28, 20, 24), (60, 15, 50)]
)
def test_noise_of_other_colours_drifting_plateaus_and_unequal_images(
    blocks: int, critical: int, mutation: int, colour: str
) -> None:
    rng = np.random.default_rng([blocks, len(colour)])
    clusters = np.repeat(np.arange(IMAGES), rng.integers(5, 20, IMAGES))
    probability = np.zeros((len(clusters), blocks + 1))
    probability[:, critical:mutation] = np.linspace(1, 1.1, mutation - critical)
    probability[:, mutation:] = 0.5
    divergence = np.ones((len(clusters), blocks))
    divergence[:, critical : mutation - 1] = np.linspace(0, 0.1, mutation - 1 - critical)
    probability += 0.1 * coloured(rng, probability.shape, colour)
    divergence += 0.1 * coloured(rng, divergence.shape, colour)
    for given in (
        {"probability": np.clip(0.8 * probability, 0, 1)},
        {"divergence": np.maximum(divergence, 0)},
    ):
        stages = find_stages(clusters=clusters, **given)
        assert recovered(stages, critical, mutation), stages.evidence


def test_nodes_are_located_on_one_half_of_the_images_and_tested_on_the_other() -> None:
    """The evidence quotes the half that was not looked at; halves are every second image by name."""
    curve = np.zeros((N, 33))
    for i in range(N):
        # Even images rise at 16. Of the odd ones, one rises far off: 3 of 4 transfer, which is enough.
        curve[i, 26 if CLUSTERS[i] == 1 else 16 :] = 0.9
    stages = find_stages(probability=curve, clusters=CLUSTERS)
    assert stages.pattern == RISE_AND_PLATEAU
    assert "in 75% of the other half" in stages.evidence
    # Now two of four: the odd half's own node is half-way, at 21, where no even image has it. The worse
    # of the two directions counts.
    curve[CLUSTERS == 3] = curve[CLUSTERS == 1]
    stages = find_stages(probability=curve, clusters=CLUSTERS)
    assert stages.pattern == NO_PATTERN
    assert "only 0% of its images" in stages.evidence


def test_a_rise_at_the_very_end_has_no_plateau() -> None:
    curve = np.zeros((N, 31))
    curve[:, 27:] = [0.2, 0.5, 0.8, 0.95]
    curve = np.clip(curve + np.random.default_rng(0).normal(0, 0.03, curve.shape), 0, 1)
    stages = find_stages(probability=curve, clusters=CLUSTERS)
    assert stages.pattern == RISE_ONLY
    assert stages.critical_layer in (28, 29)
    assert "No plateau" in stages.evidence


@pytest.mark.parametrize("images", [1, 4])
def test_few_images_are_inconclusive_with_the_full_range(images: int) -> None:
    probability, divergence = planted(np.random.default_rng(0), 32, 20, 27)
    clusters = np.arange(N) % images
    stages = find_stages(probability=probability, divergence=divergence, clusters=clusters)
    assert (stages.critical_layer, stages.mutation_layers) == (None, ())
    for name in ("probability", "distribution"):
        reading = stages.by_level[name]
        assert reading.pattern == INCONCLUSIVE
        assert reading.evidence.startswith("1 image is" if images == 1 else "4 images are")
        assert reading.critical is not None
        assert reading.critical.spread is not None
        spread = reading.critical.spread
        assert (spread.low, spread.high, spread.method) == (0.0, 32.0, "full range")


def test_a_step_that_one_half_of_the_images_has_elsewhere_is_no_node() -> None:
    curve = np.zeros((N, 33))
    for i in range(N):
        curve[i, 6 if CLUSTERS[i] % 2 else 24 :] = 0.9
    stages = find_stages(probability=curve, clusters=CLUSTERS)
    assert stages.pattern == NO_PATTERN
    assert "half of the images" in stages.evidence


def test_a_mutation_of_fewer_than_a_tenth_of_the_tokens_is_not_the_models() -> None:
    curve = np.zeros((N, 33))
    curve[:, 16:] = 0.9
    curve[: N // 10 - 1, 28] = 0.1
    stages = find_stages(probability=curve, clusters=CLUSTERS)
    assert stages.pattern == RISE_AND_PLATEAU
    assert stages.mutation_share[28] == pytest.approx((N // 10 - 1) / N)
    curve[: N // 10, 28] = 0.1
    assert find_stages(probability=curve, clusters=CLUSTERS).mutation_layers == (28,)


def test_shallow_models_are_not_divided() -> None:
    curve = np.zeros((N, 9))
    curve[:, 3:] = 0.9
    stages = find_stages(probability=curve, clusters=CLUSTERS)
    assert stages.pattern == NO_PATTERN
    assert "too shallow" in stages.evidence


def test_traces_are_read_by_their_leaders() -> None:
    emitted, early, other = synthetic.EMITTED, synthetic.EARLY, synthetic.OTHER
    curve = [0.0] * 12 + [0.9] * 19
    leader = [early] * 12 + [emitted] * 16 + [other] + [emitted] * 2
    quiet = [0.6] * 12 + [0.0] * 18
    traces = [
        synthetic.trace(curve, name=f"p{k}", divergence=quiet, leader=leader) for k in range(6)
    ]
    stages = find_stages(traces)
    assert stages.blocks == 30
    assert stages.critical_layer == 12
    assert stages.by_level["distribution"].pattern == RISE_AND_PLATEAU
    assert stages.levels_agree is True
    assert len(stages.per_token.critical) == 6 * 4
    assert stages.mutation_share[:23].max() == 0.0


def test_the_same_data_give_the_same_reading() -> None:
    probability, divergence = planted(np.random.default_rng(1), 32, 20, 27)
    one, two = (
        find_stages(probability=probability, divergence=divergence, clusters=CLUSTERS)
        for _ in range(2)
    )
    assert one.by_level == two.by_level


def test_two_thousand_tokens_of_eighty_blocks_take_about_a_second() -> None:
    rng = np.random.default_rng(0)
    probability = (np.arange(81) >= 20) + rng.normal(0, 0.1, (2000, 81))
    start = time.process_time()
    find_stages(probability=probability, divergence=np.abs(np.diff(probability)))
    # About 0.4 s alone; the bound leaves room for a busy machine.
    assert time.process_time() - start < 3


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "needs traces"),
        ({"probability": [[0.0, np.nan, 0.5]]}, r"probability\[0, 1\] is nan"),
        ({"probability": [0.1, 0.2]}, r"must be \[N, L\+1\], not \(2,\)"),
        ({"probability": np.zeros((2, 5)), "divergence": np.zeros((2, 5))}, "divergence"),
        ({"divergence": np.zeros((2, 5)), "clusters": [0]}, "clusters"),
        ({"divergence": [["a", "b"]]}, "must be numbers"),
        ({"traces": []}, "no eligible token"),
        ({"traces": [], "clusters": [0]}, "not both"),
    ],
)
def test_what_cannot_be_read_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(TraceError, match=says):
        find_stages(**given)
