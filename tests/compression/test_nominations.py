"""Nominations against transformers' own hidden states and by hand, and the laws of their sets."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cosine as cosine_distance
from scipy.special import log_softmax, rel_entr, softmax

from lvlm_audit.compression.contribution import layer_contribution
from lvlm_audit.compression.influence import block_influence
from lvlm_audit.compression.nomination import least
from lvlm_audit.compression.plateau import plateau, stabilization, transitions
from lvlm_audit.compression.sleb import sleb
from lvlm_audit.compression.states import similarity
from lvlm_audit.compression.windows import angular_distance, streamline
from lvlm_audit.interventions.effects import reference
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.opening import hook
from lvlm_audit.stages import find_stages
from lvlm_audit.traces.recorder import record
from tests import tiny_models

LONGEST = 4


@pytest.fixture(scope="module")
def llava() -> HookedModel:
    return hook(*tiny_models.llava(blocks=10))


@pytest.fixture(scope="module")
def probes():
    return tiny_models.probes(3)


@pytest.fixture(scope="module")
def alike(llava, probes):
    return similarity(llava, probes, LONGEST)


def own_states(llava, probe) -> tuple[np.ndarray, np.ndarray]:
    """[L + 1, n, d] as transformers reports them, the last before the final norm, and where the image is."""
    inputs = llava.inputs([probe])
    seen = []
    handle = llava.anatomy.blocks[-1].register_forward_hook(lambda *args: seen.append(args[-1]))
    with torch.inference_mode():
        out = llava.model(**inputs, output_hidden_states=True, use_cache=False)
    handle.remove()
    last = seen[0][0] if isinstance(seen[0], tuple) else seen[0]
    states = torch.cat(
        [torch.stack(out.hidden_states[:-1])[:, 0], last.reshape(1, *last.shape[-2:])]
    )
    return states.double().numpy(), (inputs["input_ids"][0] == 3).numpy()


def test_cosines_are_those_of_the_reported_states(llava, probes, alike):
    found: dict[tuple[int, int], list[float]] = {}
    visual: dict[int, list[float]] = {}
    text: dict[int, list[float]] = {}
    angles: dict[tuple[int, int], list[float]] = {}
    for probe in probes:
        states, image = own_states(llava, probe)
        assert image.any()
        assert not image.all()
        for n, s in itertools.product(range(1, LONGEST + 1), range(10)):
            if s + n > 10:
                continue
            each = [
                1 - cosine_distance(a, b) for a, b in zip(states[s], states[s + n], strict=True)
            ]
            found.setdefault((n, s), []).extend(each)
            angles.setdefault((n, s), []).append(np.arccos(min(1.0, each[-1])) / np.pi)
            if n == 1:
                visual.setdefault(s, []).extend(np.array(each)[image])
                text.setdefault(s, []).extend(np.array(each)[~image])
    for (n, s), values in found.items():
        assert alike.cosine[n - 1, s] == pytest.approx(np.mean(values), abs=1e-5)
        assert alike.angle[n - 1, s] == pytest.approx(np.mean(angles[n, s]), abs=1e-5)
    for s in range(10):
        assert alike.visual[s] == pytest.approx(np.mean(visual[s]), abs=1e-5)
        assert alike.text[s] == pytest.approx(np.mean(text[s]), abs=1e-5)
    assert np.isnan(alike.cosine[3, 7:]).all()
    assert np.isfinite(alike.cosine[3, :7]).all()


def test_where_the_image_is_not_known_it_is_said():
    hooked = hook(*tiny_models.text_only("llama"))
    found = similarity(hooked, [tiny_models.prepared()], 2)
    assert found.visual is None
    assert found.text is None
    assert "images hold no positions" in found.no_visual
    nomination = block_influence(found.visual, 3, where="visual", reason=found.no_visual)
    assert (nomination.scores, nomination.sets) == ((), ())


def test_block_influence_by_hand():
    found = block_influence(np.array([0.9, 0.5, 0.99, 0.7]), 3)
    np.testing.assert_allclose(found.scores, [0.1, 0.5, 0.01, 0.3])
    assert found.sets == ((2,), (0, 2), (0, 2, 3))


def test_windows_by_hand():
    angle = np.array([[0.3, 0.1, 0.2, 0.1], [0.4, 0.2, 0.25, np.nan], [0.5, 0.6, np.nan, np.nan]])
    # Ties go to the deeper block.
    assert angular_distance(angle).sets == ((3,), (1, 2), (0, 1, 2))
    assert streamline(1 - angle).sets == ((3,), (1, 2), (0, 1, 2))


def test_the_two_windows_may_disagree():
    """At one position they never do; over several, mean and arc cosine do not change places."""
    cosines = np.array([[1.0, 0.0], [0.6, 0.5]])  # two prompts, blocks 0 and 1
    assert streamline(cosines.mean(0)[None]).sets[0] == (0,)
    assert angular_distance((np.arccos(cosines) / np.pi).mean(0)[None]).sets[0] == (0,)
    lop_sided = np.array([[0.9, 0.62], [-0.9, -0.6]])
    assert streamline(lop_sided.mean(0)[None]).sets[0] == (1,)
    assert angular_distance((np.arccos(lop_sided) / np.pi).mean(0)[None]).sets[0] == (1,)
    skewed = np.array([[1.0, 0.82], [0.5, 0.7]])
    assert streamline(skewed.mean(0)[None]).sets[0] == (1,)
    assert angular_distance((np.arccos(skewed) / np.pi).mean(0)[None]).sets[0] == (0,)


@given(
    st.lists(st.one_of(st.none(), st.floats(-1, 1)), min_size=1, max_size=12),
    st.integers(1, 14),
)
def test_sets_of_the_least_scores_are_nested_and_least(scores, most):
    sets = least(scores, most)
    known = [i for i, s in enumerate(scores) if s is not None]
    assert len(sets) == min(most, len(known), len(scores) - 1)
    for size, blocks in enumerate(sets, start=1):
        assert len(blocks) == len(set(blocks)) == size
        assert list(blocks) == sorted(blocks)
        assert set(blocks) <= set(known)
        left = [scores[i] for i in known if i not in blocks]
        assert not left or max(scores[i] for i in blocks) <= min(left)
    for smaller, larger in itertools.pairwise(sets):
        assert set(smaller) < set(larger)


def test_sleb_against_an_exhaustive_search_of_each_step():
    costs = {1: 5.0, 2: 1.0, 3: 1.2, 4: 3.0}
    calls = []

    def loss(blocks):
        calls.append(blocks)
        # Blocks 2 and 3 do the same work: either may go, not both.
        return sum(costs[b] for b in blocks) + (10.0 if {2, 3} <= set(blocks) else 0.0)

    found = sleb(loss, 6, 3, of="a loss")
    assert found.sets == ((2,), (2, 4), (1, 2, 4))
    assert found.scores == (None, 5.0, 1.0, 1.2, 3.0, None)
    assert len(calls) == 4 + 3 + 2
    assert not any({0, 5} & set(blocks) for blocks in calls)
    # It stops with the first set that costs too much.
    assert sleb(loss, 6, 3, enough=3.5, of="a loss").sets == ((2,), (2, 4))
    assert sleb(loss, 6, 99, of="a loss").sets[-1] == (1, 2, 3, 4)
    assert sleb(loss, 2, 1, of="a loss").reason


@given(st.integers(3, 8), st.integers(1, 8), st.integers(0, 10**6))
def test_sleb_is_nested_and_no_step_could_have_been_cheaper(depth, most, seed):
    def loss(blocks):
        return float(np.random.default_rng([seed, *blocks]).random())

    sets = sleb(loss, depth, most, of="a loss").sets
    assert len(sets) == min(most, depth - 2)
    before: set[int] = set()
    for blocks in sets:
        (new,) = set(blocks) - before
        others = [b for b in range(1, depth - 1) if b not in before]
        assert loss(blocks) == min(loss(tuple(sorted({*before, b}))) for b in others)
        assert new in others
        before = set(blocks)


def test_layer_contribution_is_the_divergence_of_a_pass_changed_by_hand(llava, probes):
    traces = record(llava, probes, max_new_tokens=5)
    whole = reference(llava, probes, [t.token_ids for t in traces])
    visual, text = layer_contribution(llava, whole, 3, batch_size=2)
    assert len(visual.sets) == 3
    for block in (0, 4, 9):
        sums, tokens = [0.0, 0.0], 0
        for probe, trace in zip(probes, traces, strict=True):
            ids = list(trace.token_ids)
            inputs = llava.inputs([probe], [ids])
            image = inputs["input_ids"] == 3
            at = slice(-len(ids) - 1, -1)

            def logits(mask=None, inputs=inputs, at=at, block=block):
                module = llava.anatomy.blocks[block]
                own = module.forward

                def by_hand(states, *args, **kwargs):
                    return torch.where(mask[..., None], states, own(states, *args, **kwargs))

                if mask is not None:
                    module.forward = by_hand
                try:
                    with torch.inference_mode():
                        return llava.model(**inputs, use_cache=False).logits[0, at].double().numpy()
                finally:
                    if mask is not None:
                        del module.forward

            p = softmax(logits(), axis=1)
            for kind, mask in enumerate((image, ~image)):
                q = np.exp(log_softmax(logits(mask), axis=1))
                sums[kind] += rel_entr(p, q).sum() / np.log(2)
            tokens += len(ids)
        assert visual.scores[block] == pytest.approx(sums[0] / tokens, rel=1e-3, abs=1e-5)
        assert text.scores[block] == pytest.approx(sums[1] / tokens, rel=1e-3, abs=1e-5)


def test_layer_contribution_says_why_not():
    hooked = hook(*tiny_models.text_only("llama"))
    probe = tiny_models.prepared()
    whole = reference(hooked, [probe], [[5, 6]])
    for nomination in layer_contribution(hooked, whole, 2):
        assert nomination.scores == nomination.sets == ()
        assert "images hold no positions" in nomination.reason


def test_the_plateau_is_read_off_eligible_tokens(llava, probes):
    traces = record(llava, probes, max_new_tokens=24)
    stages = find_stages(traces)
    jsd, kept = transitions(traces)
    rows = [
        (t.divergence[k], t.top_ids[k, :, 0])
        for t in traces
        for k in range(t.tokens)
        if t.eligible[k]
    ]
    for i in range(10):
        assert jsd[i] == pytest.approx(np.median([d[i] for d, _ in rows]))
        assert kept[i] == pytest.approx(np.mean([lead[i] == lead[i + 1] for _, lead in rows]))
    found = plateau(traces, stages, 3)
    stage = stabilization(stages)
    named = [i for i, score in enumerate(found.scores) if score is not None]
    assert named == list(stage)
    assert bool(found.reason) == (not named)
