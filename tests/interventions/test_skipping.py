"""Skipping blocks against a model from which they are really removed, in transformers' own generation."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.errors import UsageError
from lvlm_audit.interventions.sets import checked_blocks
from lvlm_audit.interventions.skipping import skipped
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.hooks import count_hooks
from lvlm_audit.models.opening import hook
from lvlm_audit.traces.recorder import record, replay
from tests import tiny_models

BLOCKS = 10
SETS = [
    (0,),
    (0, 1, 2),
    (4,),
    (3, 4, 5),
    (BLOCKS - 1,),
    (0, 5, BLOCKS - 1),
    tuple(range(1, BLOCKS)),
]


@pytest.fixture(scope="module")
def llava() -> HookedModel:
    return hook(*tiny_models.llava(blocks=BLOCKS))


def without(model: Any, blocks: tuple[int, ...]) -> Any:
    """A copy that never had these blocks."""
    twin = copy.deepcopy(model)
    decoder = twin.model.language_model
    decoder.layers = torch.nn.ModuleList(
        block for i, block in enumerate(decoder.layers) if i not in blocks
    )
    for i, block in enumerate(decoder.layers):
        block.self_attn.layer_idx = i
    decoder.config.num_hidden_layers = len(decoder.layers)
    return twin


def generated(model: Any, inputs: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    out = model.generate(
        **inputs, do_sample=False, max_new_tokens=6, min_new_tokens=6,
        output_logits=True, return_dict_in_generate=True,
    )  # fmt: skip
    return out.sequences, torch.stack(out.logits)


@pytest.mark.parametrize("blocks", SETS)
def test_it_generates_what_the_model_without_these_blocks_does(llava, blocks):
    inputs = llava.inputs(tiny_models.probes(3))
    ids, logits = generated(without(llava.model, blocks), inputs)
    carried = count_hooks(llava.model)
    with llava.untouched(), skipped(llava, blocks):
        ours, ours_logits = generated(llava.model, inputs)
    assert count_hooks(llava.model) == carried
    assert ours.tolist() == ids.tolist()
    torch.testing.assert_close(ours_logits, logits, rtol=1e-5, atol=1e-5)


def test_nothing_skipped_changes_no_bit(llava):
    inputs = llava.inputs(tiny_models.probes(3))
    plain = generated(llava.model, inputs)
    with skipped(llava, ()) as chosen:
        ours = generated(llava.model, inputs)
    assert chosen == ()
    assert torch.equal(plain[0], ours[0])
    assert torch.equal(plain[1], ours[1])


def test_it_is_over_when_it_is_left_even_by_an_error(llava):
    inputs = llava.inputs(tiny_models.probes(2))
    plain = generated(llava.model, inputs)
    with pytest.raises(RuntimeError, match="on the way"), skipped(llava, (0, 4)):
        raise RuntimeError("on the way")
    assert torch.equal(plain[1], generated(llava.model, inputs)[1])


def test_recordings_see_it(llava):
    probes = tiny_models.probes(2)
    with skipped(llava, (0, 4)):
        traces = record(llava, probes, max_new_tokens=5, keep_features=True)
        again = replay(llava, probes, [t.token_ids for t in traces])
    for trace, twin in zip(traces, again, strict=True):
        assert trace.features is not None
        for block in (0, 4):
            assert np.array_equal(trace.features[:, block], trace.features[:, block + 1])
            assert np.abs(trace.divergence[:, block]).max() < 1e-6
        np.testing.assert_allclose(twin.probability, trace.probability, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("family", sorted(tiny_models.FAMILIES))
def test_every_family_goes_on_generating(family):
    """Sliding windows, soft caps, image features added between blocks: the states say that it happened."""
    hooked = hook(*tiny_models.FAMILIES[family]())
    first, middle = 0, hooked.blocks // 2
    probes = [tiny_models.prepared()] if hooked.processor is None else tiny_models.probes(2)
    plain = record(hooked, probes, max_new_tokens=4)
    with skipped(hooked, (first, middle)):
        traces = record(hooked, probes, max_new_tokens=4, keep_features=True)
    for trace in traces:
        assert trace.features is not None
        for block in (first, middle):
            assert np.array_equal(trace.features[:, block], trace.features[:, block + 1])
    after = record(hooked, probes, max_new_tokens=4)
    assert any(
        not np.array_equal(a.probability, b.probability) for a, b in zip(plain, traces, strict=True)
    )
    for a, b in zip(plain, after, strict=True):
        assert np.array_equal(a.probability, b.probability)


def test_only_some_positions(llava):
    """An independent forward pass: a block's own output, exchanged by hand at the image's positions."""
    inputs = llava.inputs(tiny_models.probes(2))
    at = inputs["input_ids"] == llava.image_feature_id
    assert at.any()
    assert not at.all()
    block = llava.anatomy.blocks[4]
    own = block.forward

    def by_hand(hidden_states, *args, **kwargs):
        changed = own(hidden_states, *args, **kwargs).clone()
        for row, column in at.nonzero().tolist():
            changed[row, column] = hidden_states[row, column]
        return changed

    block.forward = by_hand
    try:
        expected = llava.model(**inputs, use_cache=False).logits
    finally:
        del block.forward
    plain = llava.model(**inputs, use_cache=False).logits
    with skipped(llava, (4,), positions=at):
        ours = llava.model(**inputs, use_cache=False).logits
    assert torch.equal(ours, expected)
    assert not torch.equal(ours, plain)
    with skipped(llava, (4,), positions=torch.zeros_like(at)):
        assert torch.equal(llava.model(**inputs, use_cache=False).logits, plain)


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ([3, 3], "block 3 is named twice"),
        ([10], "there is no block 10: this model has 10, 0 to 9"),
        ([-1], "there is no block -1"),
        ([True], "there is no block True"),
        ([2.0], "block 2.0 is no whole number"),
        (["2"], "block '2' is no whole number"),
        (range(10), "all 10 blocks would be skipped"),
    ],
)
def test_a_set_that_cannot_be_skipped(llava, blocks, said):
    with pytest.raises(UsageError, match=said), skipped(llava, blocks):
        pass


@given(st.integers(2, 60).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_a_valid_set_comes_back_sorted(case):
    depth, blocks = case
    if len(blocks) == depth:
        with pytest.raises(UsageError, match="all"):
            checked_blocks(blocks, depth)
    else:
        found = checked_blocks((np.int64(b) for b in blocks), depth)
        assert found == tuple(sorted(blocks))
        assert all(type(b) is int for b in found)
