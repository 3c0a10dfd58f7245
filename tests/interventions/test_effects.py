"""Effects of skipping against a model that never had the blocks, by transformers and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import log_softmax, rel_entr, softmax

from lvlm_audit.errors import ProbesFailed, TraceError, UsageError
from lvlm_audit.interventions.effects import iter_effects, reference
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.opening import hook
from lvlm_audit.traces import store
from lvlm_audit.traces.recorder import record
from lvlm_audit.traces.trace import Trace
from tests import tiny_models
from tests.interventions.test_skipping import without

SKIP = (0, 3, 4)


@pytest.fixture(scope="module")
def llava() -> HookedModel:
    return hook(*tiny_models.llava())


@pytest.fixture(scope="module")
def probes():
    return tiny_models.probes(5)


@pytest.fixture(scope="module")
def traces(llava, probes) -> list[Trace]:
    return record(llava, probes, max_new_tokens=6)


@pytest.fixture(scope="module")
def whole(llava, probes, traces):
    return reference(llava, probes, [t.token_ids for t in traces], batch_size=2)


def said_logits(hooked: HookedModel, model, probe, ids) -> np.ndarray:
    """[T, V] logits of a plain forward pass over prompt and answer."""
    inputs = hooked.inputs([probe], [list(ids)])
    logits = model(**inputs, use_cache=False).logits[0]
    return logits[-len(ids) - 1 : -1].detach().double().numpy()


@pytest.mark.parametrize("batch_size", [1, 3])
def test_every_number_is_what_scipy_says_of_the_model_without_the_blocks(
    llava, probes, traces, whole, batch_size
):
    reduced = without(llava.model, SKIP)
    effects = list(
        iter_effects(llava, whole, SKIP, name="s", max_new_tokens=6, batch_size=batch_size)
    )
    assert [e.asked.id for e in effects] == [p.id for p in probes]
    for effect, probe, trace in zip(effects, probes, traces, strict=True):
        ids = trace.token_ids
        p_logits = said_logits(llava, llava.model, probe, ids)
        q_logits = said_logits(llava, reduced, probe, ids)
        p, q = softmax(p_logits, axis=1), softmax(q_logits, axis=1)
        at = np.arange(len(ids))
        np.testing.assert_allclose(
            effect.kl, rel_entr(p, q).sum(1) / np.log(2), rtol=1e-3, atol=1e-5
        )
        np.testing.assert_allclose(
            effect.divergence, jensenshannon(p, q, base=2, axis=1) ** 2, rtol=1e-3, atol=1e-5
        )
        assert effect.leaders.tolist() == [p.argmax(1).tolist(), q.argmax(1).tolist()]
        np.testing.assert_allclose(
            effect.log2_probability,
            np.stack([log_softmax(x, axis=1)[at, ids] for x in (p_logits, q_logits)]) / np.log(2),
            rtol=1e-3, atol=1e-4,
        )  # fmt: skip
        assert effect.blocks == SKIP
        out = reduced.generate(**llava.inputs([probe]), do_sample=False, max_new_tokens=6)
        assert list(effect.answer_ids) == out[0, -len(effect.answer_ids) :].tolist()
        assert effect.agrees.tolist() == (p.argmax(1) == q.argmax(1)).tolist()
    assert any(not e.same_answer for e in effects)


def test_nothing_skipped_has_no_effect_at_all(llava, whole):
    for effect in iter_effects(llava, whole, (), max_new_tokens=6, batch_size=2):
        assert not effect.kl.any()
        assert not effect.divergence.any()
        assert effect.agrees.all()
        assert effect.same_answer
        assert np.array_equal(*effect.log2_probability)


def test_it_costs_one_pass_a_set(llava, whole, monkeypatch):
    """The whole model is not asked again."""
    calls = []
    handle = llava.model.register_forward_hook(lambda *_: calls.append(1))
    try:
        list(iter_effects(llava, whole, SKIP, batch_size=5))
    finally:
        handle.remove()
    assert len(calls) == 1


def test_a_part_of_the_reference(llava, whole, probes):
    some = whole.of([probes[3].id, probes[1].id])
    effects = list(iter_effects(llava, some, SKIP))
    assert [e.asked.id for e in effects] == [probes[3].id, probes[1].id]
    assert effects[0].answer is None
    assert effects[0].same_answer is None


def test_it_is_stored_and_read_back(llava, whole, tmp_path):
    effects = list(iter_effects(llava, whole, SKIP, name="skip.1", max_new_tokens=3))
    store.save(tmp_path / "r", store.Recording(effects, {}))
    for ours, theirs in zip(effects, store.load(tmp_path / "r").items, strict=True):
        for name in ("blocks", "answer", "answer_ids", "base_answer", "intervention", "asked"):
            assert getattr(ours, name) == getattr(theirs, name)
        for name in ("kl", "divergence", "leaders", "log2_probability", "token_ids"):
            assert np.array_equal(getattr(ours, name), getattr(theirs, name))


def test_what_cannot_be_measured(llava, probes, traces, whole):
    with pytest.raises(UsageError, match="2 answers were given for 1 probes"):
        reference(llava, probes[:1], [[3], [4]])
    with pytest.raises(ProbesFailed, match="no tokens"):
        reference(llava, probes[:1], [[]])
    with pytest.raises(UsageError, match="there is no block 99"):
        list(iter_effects(llava, whole, (99,)))
    with pytest.raises(UsageError, match="max_new_tokens must be at least 1"):
        list(iter_effects(llava, whole, (1,), max_new_tokens=0))


def test_values_that_no_effect_can_have(llava, whole):
    import dataclasses

    effect = next(iter_effects(llava, whole, SKIP))
    for name, bad in (("kl", -1.0), ("divergence", np.nan), ("log2_probability", np.inf)):
        array = getattr(effect, name).copy()
        array.flat[0] = bad
        with pytest.raises(TraceError, match=f"{name} must be finite"):
            dataclasses.replace(effect, **{name: array})
    with pytest.raises(TraceError, match="kl has shape"):
        dataclasses.replace(effect, kl=effect.kl[:-1])


def test_a_block_that_breaks_the_model_is_named(llava, whole, probes):
    """States that are not finite are an error, not an effect."""
    norm = llava.anatomy.blocks[2].input_layernorm.weight
    kept = norm.detach().clone()
    with torch.no_grad():
        norm.fill_(float("nan"))
    try:
        with pytest.raises(ProbesFailed):
            list(iter_effects(llava, whole, (5,)))
        # The broken block itself may be skipped: its output is not used.
        assert len(list(iter_effects(llava, whole, (2,)))) == len(probes)
    finally:
        with torch.no_grad():
            norm.copy_(kept)
