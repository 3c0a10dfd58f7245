"""Anatomy, proof and hooks on a zoo of families, and on models that are not what they seem."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lvlm_audit.errors import ModelBroken, ProbeError, UnsupportedModel
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.hooks import count_hooks, hooks_restored, tapped
from lvlm_audit.models.opening import hook
from lvlm_audit.models.readout import Readout
from lvlm_audit.probes.probe import Probe
from tests import tiny_models


@pytest.mark.parametrize("family", list(tiny_models.FAMILIES))
def test_any_family_is_found_and_proved(family: str) -> None:
    model, processor = tiny_models.FAMILIES[family]()
    with hook(model, processor) as hooked:
        config = model.config.get_text_config(decoder=True)
        assert hooked.blocks == config.num_hidden_layers
        assert hooked.width == config.hidden_size
        assert hooked.vocabulary == model.get_output_embeddings().weight.shape[0]
        assert hooked.anatomy.paths["norm"].endswith("norm")
        for proof in hooked.proofs:
            assert proof.logit_difference < 1e-4
            assert proof.state_difference is not None
            assert proof.state_difference < 1e-5
    assert count_hooks(model) == 0


def test_tied_heads_are_told_from_untied() -> None:
    assert hook(*tiny_models.llava(tied=True)).anatomy.tied
    assert not hook(*tiny_models.llava(tied=False)).anatomy.tied


@pytest.mark.parametrize(
    ("model_type", "settings", "scale", "cap"),
    [
        ("cohere2", {"logit_scale": 0.25}, 0.25, None),
        ("granite", {"logits_scaling": 8.0}, 0.125, None),
        ("gemma2", {"final_logit_softcapping": 5.0}, 1.0, 5.0),
        ("llama", {}, 1.0, None),
    ],
)
def test_what_follows_the_head_is_found(
    model_type: str, settings: dict[str, float], scale: float, cap: float | None
) -> None:
    anatomy = hook(*tiny_models.text_only(model_type, **settings)).anatomy
    assert anatomy.logit_scale == pytest.approx(scale)
    assert anatomy.soft_cap == cap
    for value in (str(scale) if scale != 1 else "", "soft-capped at 5" if cap else ""):
        assert value in anatomy.describe()


def test_a_scale_that_is_declared_but_not_applied_is_not_believed() -> None:
    """LLaVA around Gemma 2 projects without the soft-cap that the decoder's configuration names."""
    model, processor = tiny_models.FAMILIES["llava gemma2"]()
    assert model.config.text_config.final_logit_softcapping == 5.0
    assert hook(model, processor).anatomy.soft_cap is None


def test_a_transform_that_nobody_declares_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = tiny_models.llava()
    original = type(model).forward

    @functools.wraps(original)  # generate() asks for its signature
    def scaled(self: Any, *args: Any, **kwargs: Any) -> Any:
        out = original(self, *args, **kwargs)
        out.logits = out.logits * 0.37
        return out

    monkeypatch.setattr(type(model), "forward", scaled)
    assert hook(model, processor).anatomy.logit_scale == pytest.approx(0.37, rel=1e-4)


def test_a_head_with_bias_is_read_with_it() -> None:
    model, processor = tiny_models.llava()
    model.lm_head.bias = nn.Parameter(torch.randn(384))
    hooked = hook(model, processor)
    assert "bias" in hooked.anatomy.describe()
    assert hooked.proofs[0].logit_difference < 1e-4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_16_bit_models_are_proved(dtype: torch.dtype) -> None:
    model, processor = tiny_models.llava(dtype=dtype)
    hooked = hook(model, processor)
    assert hooked.dtype == dtype
    assert hooked.proofs[0].logit_difference < 0.02 * hooked.proofs[0].largest_logit


def test_blocks_that_return_tuples_are_read() -> None:
    """As in transformers before 5, and in code of others."""
    model, processor = tiny_models.llava()
    usual = hook(model, processor).proofs[0]
    layers = model.model.language_model.layers

    class Old(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return (self.inner(*args, **kwargs), None)

    class Unwrapping(nn.ModuleList):
        """The decoder expects tensors; it unpacks what its blocks return."""

    decoder = model.model.language_model
    blocks = [Old(layer) for layer in layers]
    decoder.layers = Unwrapping(blocks)
    seen: list[int] = []

    def unpacking(self: Any, input_ids: Any = None, **kwargs: Any) -> Any:
        raise NotImplementedError

    with tapped(blocks, lambda j, state: seen.append(state.ndim)), torch.inference_mode():
        x = torch.randn(1, 3, 64)
        for block in blocks:
            position = decoder.rotary_emb(x, torch.arange(3)[None])
            x = block(x, position_embeddings=position, attention_mask=None)[0]
    assert seen == [3] * 11
    assert usual.logit_difference < 1e-4


def test_a_left_out_block_passes_the_stream_on() -> None:
    blocks = [nn.Linear(4, 4) for _ in range(3)]
    seen: dict[int, Tensor] = {}
    with tapped(blocks, lambda j, state: seen.__setitem__(j, state.clone())):
        x = torch.randn(1, 1, 4)
        y = blocks[0](x)
        blocks[2](y)
    assert sorted(seen) == [0, 1, 2, 3]
    assert torch.equal(seen[2], seen[1])


# ---- models that cannot be read -------------------------------------------------------------


def test_a_model_whose_lens_disagrees_is_refused_with_the_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, processor = tiny_models.llava()
    before = count_hooks(model)
    original = Readout.normed
    monkeypatch.setattr(Readout, "normed", lambda self, x: original(self, original(self, x)))
    with pytest.raises(UnsupportedModel, match=r"largest difference \d.*10 blocks at model\."):
        hook(model, processor)
    assert count_hooks(model) == before


def test_states_that_disagree_are_refused_with_their_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, processor = tiny_models.llava()
    original = type(model).forward

    @functools.wraps(original)
    def shifted(self: Any, *args: Any, **kwargs: Any) -> Any:
        out = original(self, *args, **kwargs)
        if out.hidden_states is not None:
            states = list(out.hidden_states)
            states[4] = states[4] + 1.0
            out.hidden_states = tuple(states)
        return out

    monkeypatch.setattr(type(model), "forward", shifted)
    with pytest.raises(UnsupportedModel, match="state 4 .*differs"):
        hook(model, processor)


def test_a_model_with_other_work_between_blocks_and_head_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, processor = tiny_models.llava()
    decoder = type(model.model)
    original = decoder.forward

    def mixing(self: Any, *args: Any, **kwargs: Any) -> Any:
        out = original(self, *args, **kwargs)
        out.last_hidden_state = out.last_hidden_state + 0.5
        return out

    monkeypatch.setattr(decoder, "forward", mixing)
    with pytest.raises(UnsupportedModel, match="not a chain of modules"):
        hook(model, processor)


def test_a_model_without_such_a_list_of_blocks_is_refused() -> None:
    model, processor = tiny_models.llava()
    model.config.text_config.num_hidden_layers = 7
    with pytest.raises(UnsupportedModel, match=r"declares 7 decoder blocks.*layers \(10\)"):
        hook(model, processor)


def test_a_model_that_does_not_generate_is_refused() -> None:
    model, processor = tiny_models.llava()
    with pytest.raises(UnsupportedModel, match="does not answer token by token"):
        hook(model.model, processor)


def test_a_head_that_is_not_named_is_found_by_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = tiny_models.llava()
    monkeypatch.setattr(type(model), "get_output_embeddings", lambda self: None)
    assert hook(model, processor).anatomy.head is model.lm_head


def test_a_model_without_head_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = tiny_models.llava()
    monkeypatch.setattr(type(model), "get_output_embeddings", lambda self: None)
    weight = model.lm_head.weight
    del model.lm_head.weight
    model.lm_head.forward = lambda x: x @ weight.T
    with pytest.raises(UnsupportedModel, match="no language-model head"):
        hook(model, processor)


def test_a_model_that_answers_nan_is_broken() -> None:
    model, processor = tiny_models.llava()
    with torch.no_grad():
        model.model.language_model.layers[3].mlp.up_proj.weight[0, 0] = torch.nan
    with pytest.raises(ModelBroken, match="NaN"):
        hook(model, processor)
    assert count_hooks(model) == 0


# ---- hooks ----------------------------------------------------------------------------------


def test_hooks_of_others_stay_and_new_ones_go() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    own = model[0].register_forward_hook(lambda *_: None)
    with hooks_restored(model):
        model[1].register_forward_pre_hook(lambda *_: None, with_kwargs=True)
        model[0].register_forward_hook(lambda *_: None, always_call=True)
        assert count_hooks(model) == 3
    assert count_hooks(model) == 1
    assert not model[1]._forward_pre_hooks_with_kwargs
    assert not model[0]._forward_hooks_always_called
    own.remove()


def test_a_user_who_asked_for_hidden_states_before_still_gets_them() -> None:
    model, processor = tiny_models.llava()
    ids = torch.tensor([[5, 6, 7]])
    model(input_ids=ids, output_hidden_states=True)
    installed = count_hooks(model)
    assert installed > 0
    with hook(model, processor):
        pass
    assert count_hooks(model) == installed
    assert len(model(input_ids=ids, output_hidden_states=True).hidden_states) == 11


def test_a_model_in_training_is_given_back_in_training() -> None:
    model, processor = tiny_models.llava()
    model.train()
    with hook(model, processor):
        assert not model.training
    assert model.training


# ---- inputs ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hooked() -> HookedModel:
    return hook(*tiny_models.llava())


def test_batches_are_padded_on_the_left(hooked: HookedModel) -> None:
    inputs = hooked.inputs(tiny_models.probes(3))
    mask = inputs["attention_mask"]
    assert mask[:, -1].all()
    assert not mask.all()
    assert (mask.diff(dim=1) >= 0).all()
    assert inputs["pixel_values"].shape[0] == 3


def test_a_continuation_extends_whatever_follows_the_sequence() -> None:
    hooked = hook(*tiny_models.qwen2_5_vl())
    probes = tiny_models.probes(2)
    plain = hooked.inputs(probes)
    longer = hooked.inputs(probes, [[30, 31, 32], [40]])
    n = plain["input_ids"].shape[1]
    assert longer["input_ids"][0, -3:].tolist() == [30, 31, 32]
    assert longer["input_ids"][1, -1].item() == 40
    assert longer["input_ids"].shape == longer["attention_mask"].shape == (2, n + 3)
    assert longer["mm_token_type_ids"].shape == (2, n + 3)
    assert longer["mm_token_type_ids"][0, -3:].tolist() == [0, 0, 0]
    for row, count in enumerate((3, 1)):
        kept = longer["input_ids"][row, 3 - count : 3 - count + n]
        assert torch.equal(kept, plain["input_ids"][row])
        assert longer["attention_mask"][row].sum() == plain["attention_mask"][row].sum() + count
    images = sum((longer["input_ids"] == i).sum().item() for i in hooked.image_token_ids)
    assert images == sum((plain["input_ids"] == i).sum().item() for i in hooked.image_token_ids)


def test_image_tokens_are_known_to_be_special(hooked: HookedModel) -> None:
    assert hooked.image_token_ids == {3}
    assert {0, 1, 2, 3} <= hooked.special_ids
    assert hooked.end_ids == {1}


def test_a_model_without_processor_asks_for_prepared_probes() -> None:
    hooked = hook(tiny_models.llava()[0])
    with pytest.raises(UnsupportedModel, match=r"processor=.*Probe\.prepared"):
        hooked.inputs(tiny_models.probes(1))


def test_right_padding_is_refused(hooked: HookedModel) -> None:
    probe = Probe.prepared(
        {"input_ids": torch.tensor([[5, 6, 2]]), "attention_mask": torch.tensor([[1, 1, 0]])}
    )
    with pytest.raises(ProbeError, match="padded on the right"):
        hooked.inputs([probe])


def test_the_users_padding_side_is_given_back(hooked: HookedModel) -> None:
    hooked.tokenizer.padding_side = "right"
    hooked.inputs(tiny_models.probes(2))
    assert hooked.tokenizer.padding_side == "right"


def test_a_probe_that_the_processor_refuses_is_named(
    hooked: HookedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise IndexError("tile out of range")

    monkeypatch.setattr(hooked.processor, "apply_chat_template", refuse)
    with pytest.raises(ProbeError, match=r"'probe-0'.*tile out of range"):
        hooked.inputs(tiny_models.probes(1))


def test_the_readout_is_the_models_own(hooked: HookedModel) -> None:
    states: list[Tensor] = []
    inputs = hooked.inputs(tiny_models.probes(1))
    keep = hooked.tapped(lambda _, state: states.append(state[:, -1].clone()))
    with hooked.untouched(), torch.inference_mode(), keep:
        own = hooked.model(**inputs).logits[:, -1]
    assert len(states) == hooked.blocks + 1
    readout = Readout(hooked.anatomy)
    read = readout.logits(readout.normed(states[-1]))
    np.testing.assert_allclose(read, own, atol=1e-4)
