"""Blocks really removed against the same model with them skipped, and against transformers' own answers."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from lvlm_audit.compression import saving
from lvlm_audit.compression.removal import removed
from lvlm_audit.compression.saving import size
from lvlm_audit.errors import UsageError
from lvlm_audit.interventions.skipping import skipped
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.opening import hook
from lvlm_audit.traces.generation import step_logits
from tests import tiny_models

FAMILIES = {
    **tiny_models.FAMILIES,
    "llava mixtral": lambda: tiny_models.llava(
        text={"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2}, seed=11
    ),
    "llava qwen3 moe": lambda: tiny_models.llava(
        text={
            "model_type": "qwen3_moe", "num_experts": 4, "num_experts_per_tok": 2,
            "moe_intermediate_size": 32, "mlp_only_layers": [0, 4], "decoder_sparse_step": 1,
        },
        seed=12,
    ),
}  # fmt: skip


def asked(hooked: HookedModel) -> dict[str, Any]:
    probes = [tiny_models.prepared()] if hooked.processor is None else tiny_models.probes(1)
    return hooked.inputs(probes)


def state_of(model: Any) -> tuple[Any, ...]:
    """What removal touches: configuration, numbers of blocks, and the blocks themselves."""
    numbers = [m.layer_idx for m in model.modules() if hasattr(m, "layer_idx")]
    return model.config.to_json_string(), numbers, [id(p) for p in model.parameters()]


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_without_the_blocks_it_answers_as_with_them_skipped(family):
    hooked = hook(*FAMILIES[family]())
    inputs = asked(hooked)
    before, plain = state_of(hooked.model), step_logits(hooked, inputs, 4)
    for blocks in ((0,), (2, hooked.blocks - 1), (1, 4, 5)):
        with skipped(hooked, blocks):
            ids, wanted = step_logits(hooked, inputs, 4)
        with removed(hooked, blocks) as chosen:
            assert chosen == blocks
            ran: list[int] = []
            handles = [
                b.register_forward_hook(lambda *_, i=i, ran=ran: ran.append(i))
                for i, b in enumerate(hooked.anatomy.blocks)
            ]
            found_ids, found = step_logits(hooked, inputs, 4)
            for handle in handles:
                handle.remove()
        assert set(ran) == set(range(hooked.blocks)) - set(blocks)
        assert found_ids == ids
        torch.testing.assert_close(torch.stack(found), torch.stack(wanted), rtol=1e-5, atol=1e-5)
    assert state_of(hooked.model) == before
    assert torch.equal(torch.stack(step_logits(hooked, inputs, 4)[1]), torch.stack(plain[1]))


def test_it_is_put_back_after_an_error():
    hooked = hook(*tiny_models.gemma3())
    before = state_of(hooked.model)
    with pytest.raises(RuntimeError, match="on the way"), removed(hooked, (1, 3)):
        raise RuntimeError("on the way")
    assert state_of(hooked.model) == before
    with pytest.raises(UsageError, match="there is no block 12"), removed(hooked, (12,)):
        pass


def test_layer_types_follow_their_blocks():
    hooked = hook(*tiny_models.gemma3())
    types = list(hooked.model.config.text_config.layer_types)
    with removed(hooked, (0, 5)):
        config = hooked.model.config.text_config
        assert config.num_hidden_layers == 10
        assert config.layer_types == [t for i, t in enumerate(types) if i not in (0, 5)]
    assert hooked.model.config.text_config.layer_types == types


def test_size_counts_what_is_shared_once():
    model, processor = tiny_models.llava(tied=True, blocks=9, width=48, vocabulary=500)
    hooked = hook(model, processor)
    whole = size(model)
    by_hand = {p.data_ptr(): p for p in copy.deepcopy(model).parameters()}
    assert whole.parameters == sum(p.numel() for p in by_hand.values())
    assert whole.bytes == 4 * whole.parameters
    block = sum(p.numel() for p in hooked.anatomy.blocks[3].parameters())
    with removed(hooked, (3,)):
        assert size(model).parameters == whole.parameters - block


def test_the_ratios_are_medians_of_pairs_of_runs(monkeypatch):
    """A clock made by hand: a run costs its tokens times the blocks that are there, and three are slow."""
    hooked = hook(*tiny_models.llava(blocks=10))
    runs: list[int] = []

    def clock(hooked, _, tokens):
        there = hooked.model.config.text_config.num_hidden_layers
        runs.append(there)
        disturbed = 50 if len(runs) in (5, 6, 9) else 0
        return 2.0 * there + there * (tokens - 1) + disturbed

    monkeypatch.setattr(saving, "_seconds", clock)
    found = saving.speed(hooked, (2, 3, 4), tiny_models.probes(2), repeats=7, tokens=6)
    assert (found.prefill, found.decode) == (0.7, 0.7)
    assert (found.prefill_seconds, found.decode_seconds) == (20.0, 10.0)
    # Whole and less by turns, two runs each; the first pair warms up.
    assert runs == [10, 10, 7, 7] * 8
