"""A later gain is part of the rise, never a mutation: single curves, each beside its opposite."""

from __future__ import annotations

import numpy as np
import pytest

from lvlm_audit.metrics.nodes import MIN_PEAK
from lvlm_audit.properties import Context, LateMutation
from lvlm_audit.stages import RISE_AND_PLATEAU, RISE_ONLY, THREE_STAGES, Stages, find_stages
from lvlm_audit.traces.trace import Trace
from tests import synthetic

IMAGES, TOKENS = 8, 10
N = IMAGES * TOKENS
CLUSTERS = np.repeat(np.arange(IMAGES), TOKENS)
TAKERS = np.arange(N) % 10 < 3


def read(curve: np.ndarray, **given: np.ndarray) -> Stages:
    noise = np.random.default_rng(0).normal(0, 0.02, curve.shape)
    return find_stages(probability=np.clip(curve + noise, 0, 1), clusters=CLUSTERS, **given)


def stepped(blocks: int, first: int, second: int, rest: float, end: float) -> np.ndarray:
    """All rows rise to `rest` at `first`; three in ten move on to `end` at `second`."""
    curve = np.zeros((N, blocks + 1))
    curve[:, first:] = rest
    curve[TAKERS, second:] = end
    return curve


@pytest.mark.parametrize(
    ("blocks", "first", "second"),
    [(12, 6, 10), (12, 8, 11), (20, 13, 18), (32, 24, 29), (32, 10, 20)],
)
@pytest.mark.parametrize("rest", [0.4, 0.5, 0.6])
def test_what_gains_again_is_no_mutation_and_what_falls_is(
    blocks: int, first: int, second: int, rest: float
) -> None:
    up = read(stepped(blocks, first, second, rest, 0.9))
    assert (up.pattern, up.mutation_layers) == (RISE_AND_PLATEAU, ()), up.evidence
    assert up.critical_layer == first
    down = read(stepped(blocks, first, second, rest, 0.1))
    assert (down.pattern, down.mutation_layers) == (THREE_STAGES, (second,)), down.evidence


@pytest.mark.parametrize(
    ("blocks", "first", "second"),
    [(12, 6, 11), (20, 12, 18), (32, 20, 30), (32, 10, 32), (80, 40, 78)],
)
def test_a_model_that_gains_again_at_the_end_rises_to_the_end(
    blocks: int, first: int, second: int
) -> None:
    curve = np.zeros((N, blocks + 1))
    curve[:, first:] = 0.54
    curve[:, second:] = 0.9
    stages = read(curve)
    assert (stages.pattern, stages.mutation_layers) == (RISE_ONLY, ())
    assert stages.critical_layer == first
    assert f"It gains again around state {second}" in stages.evidence
    assert "It rises to the end: there is no stabilization stage, which is no fault." in (
        stages.evidence
    )


def test_a_fall_after_two_steps_is_held_against_the_second() -> None:
    """What falls from the second height back to the first mutates: that height had been kept."""
    curve = stepped(32, 12, 16, 0.6, 0.9)
    curve[TAKERS, 24:] = 0.5
    stages = read(curve)
    assert (stages.pattern, stages.mutation_layers) == (THREE_STAGES, (24,)), stages.evidence


def test_a_fall_and_its_recovery_count_once() -> None:
    curve = stepped(32, 12, 20, 0.9, 0.3)
    curve[:, 24:] = 0.9
    assert read(curve).mutation_layers == (20,)


def test_a_burst_of_divergence_with_a_gain_is_no_mutation_of_that_level_either() -> None:
    divergence = np.full((N, 32), 0.01)
    divergence[:, :12] = 0.6
    divergence[TAKERS, 23] = 0.6
    for end, states in ((0.95, ()), (0.1, (24,))):
        stages = read(stepped(32, 12, 24, 0.5, end), divergence=divergence)
        assert stages.by_level["distribution"].mutation_states == states
    assert find_stages(divergence=divergence, clusters=CLUSTERS).mutation_layers == (24,)


def test_in_traces_a_gain_counts_as_one_only_where_the_leader_stays() -> None:
    """Nucleus mass is of the final tokens: it gains as well where they replace another leader."""
    emitted, early, other = synthetic.EMITTED, synthetic.EARLY, synthetic.OTHER
    curve = [0.0] * 12 + [0.6] * 13 + [0.95] * 6
    quiet = [0.6] * 12 + [0.0] * 12 + [0.6] + [0.0] * 5
    for before, states in ((emitted, ()), (other, (25,))):
        leader = [early] * 12 + [before] * 13 + [emitted] * 6
        traces = [
            synthetic.trace(curve, name=f"p{k}", divergence=quiet, leader=leader) for k in range(6)
        ]
        stages = find_stages(traces)
        assert stages.by_level["distribution"].mutation_states == states
        assert stages.per_token.mutated.any(axis=0).nonzero()[0].tolist() == list(states)


def formed_late(early: float, faded: int) -> list[Trace]:
    """An answer that forms at state 27 of 30, where a token of noise led before it with `early`.

    From state `faded` on that token leads with next to nothing.
    """
    noise = [early] * faded + [0.02] * (27 - faded) + [0.0] * 4
    leader = [synthetic.EARLY] * 27 + [synthetic.EMITTED] * 4
    return [
        synthetic.trace(
            [0.0] * 27 + [0.9] * 4,
            name=f"p{k}",
            leader=leader,
            candidates={synthetic.EARLY: noise},
        )
        for k in range(6)
    ]


@pytest.mark.parametrize(
    ("early", "faded", "mutates"),
    [(0.02, 27, False), (0.9, 5, False), (0.6, 23, False), (0.6, 26, True), (0.6, 27, True)],
)
def test_an_answer_that_forms_over_noise_or_over_what_faded_replaces_nothing(
    early: float, faded: int, mutates: bool
) -> None:
    traces = formed_late(early, faded)
    stages = find_stages(traces)
    assert stages.pattern == RISE_ONLY
    assert stages.mutation_share[27] == float(mutates)
    seen = LateMutation().observe(traces[0], traces[0].probability, Context(None))
    # What never settled could not mutate: not applicable, neither a pass nor a fail.
    np.testing.assert_array_equal(seen, [np.nan if early < MIN_PEAK else float(mutates)] * 4)
