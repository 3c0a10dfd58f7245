"""A family that arrives tomorrow: read without a change here, or refused in one clear message."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lvlm_audit import Probe, hook, record
from lvlm_audit.errors import UnsupportedModel
from tests.families import feed
from tests.families.agreement import assert_agrees, generated
from tests.families.stranger import StrangerConfig, StrangerForSaying
from tests.tiny_models import lively, tokenizer


def stranger(dtype: torch.dtype = torch.float32, **settings: Any) -> Any:
    torch.manual_seed(3)
    return lively(StrangerForSaying(StrangerConfig(**settings)), gain=1.5).to(dtype).eval()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"steps": 3, "keep": "dict"},
        {"steps": 9, "keep": "numbered", "hands": "tuple"},
        {"steps": 12, "keep": "sequence", "hands": "record"},
        {"keep": "nested", "hands": "dict"},
        {"norm": False, "bias": True},
        {"loud": 3.7, "top": 11.0},
        {"loud": 0.2, "spare": 13},
    ],
    ids=str,
)
def test_a_family_of_tomorrow_is_read(settings: dict[str, Any]) -> None:
    model = stranger(**settings)
    inputs = {"input_ids": feed.words() % 200}
    own = generated(model, inputs)
    with hook(model, sample=Probe.prepared(inputs)) as hooked:
        assert hooked.blocks == model.config.steps
        assert hooked.proofs[0].state_difference is not None
        assert hooked.anatomy.logit_scale == pytest.approx(model.config.loud, rel=1e-3)
        assert (hooked.anatomy.soft_cap or 0.0) == pytest.approx(model.config.top, rel=1e-3)
        assert_agrees(hooked, inputs, own)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_scaled_and_capped_logits_are_measured_in_16_bits(dtype: torch.dtype) -> None:
    anatomy = hook(stranger(dtype, loud=0.25, top=20.0)).anatomy
    assert anatomy.logit_scale == pytest.approx(0.25, rel=0.02)
    assert anatomy.soft_cap == pytest.approx(20.0, rel=0.02)


@pytest.mark.parametrize(
    ("keep", "reason"),
    [("one", "applied over and over"), ("same", r"same block several times \(its 5 layers are 1")],
)
def test_a_block_that_is_applied_again_and_again_is_refused(keep: str, reason: str) -> None:
    with pytest.raises(UnsupportedModel, match=reason):
        hook(stranger(keep=keep))


def test_a_model_in_training_mode_is_read_and_given_back() -> None:
    model = stranger().train()
    model.last.register_forward_hook(lambda *_: None)
    with hook(model) as hooked:
        assert not model.training
        (trace,) = record(
            hooked, [Probe.prepared({"input_ids": feed.words() % 200})], max_new_tokens=2
        )
    assert model.training
    assert len(model.last._forward_hooks) == 1
    assert len(trace.token_ids) == 2


def test_settings_of_the_checkpoint_change_no_token() -> None:
    """A penalty or a forced token would make the emitted token another than the most probable one."""
    inputs = {"input_ids": feed.words() % 200}
    plain = record(hook(stranger()), [Probe.prepared(inputs)], max_new_tokens=4)[0]
    model = stranger()
    model.generation_config.update(
        repetition_penalty=5.0,
        suppress_tokens=[int(plain.token_ids[0])],
        forced_eos_token_id=7,
        do_sample=True,
        temperature=3.0,
    )
    with hook(model) as hooked:
        (trace,) = record(hooked, [Probe.prepared(inputs)], max_new_tokens=4)
    assert trace.token_ids.tolist() == plain.token_ids.tolist()
    assert model.generation_config.repetition_penalty == 5.0


def test_a_user_s_hook_that_changes_the_stream_is_part_of_the_model() -> None:
    """What a model says with it is what is read."""
    model = stranger()
    model.stairs.flight[2].register_forward_hook(lambda _, __, output: output * 1.5)
    inputs = {"input_ids": feed.words() % 200}
    own = generated(model, inputs)
    with hook(model, sample=Probe.prepared(inputs)) as hooked:
        assert_agrees(hooked, inputs, own)


def test_a_tokenizer_without_words_is_refused() -> None:
    """As transformers makes one where a checkpoint's folder holds none."""
    empty = tokenizer()
    empty.backend_tokenizer.model = type(empty.backend_tokenizer.model)()
    with pytest.raises(UnsupportedModel, match="makes no tokens"):
        hook(stranger(), empty)


@pytest.mark.parametrize("in_place", [False, True])
def test_a_compiled_model_is_read_as_the_model_that_it_is(in_place: bool) -> None:
    """Compiled graphs call no hooks that were set later."""
    model = stranger()
    inputs = {"input_ids": feed.words() % 200}
    own = generated(model, inputs)
    if in_place:
        model.compile()
    with hook(model if in_place else torch.compile(model)) as hooked:
        assert hooked.blocks == 5
        (trace,) = record(hooked, [Probe.prepared(inputs)], max_new_tokens=4)
    assert trace.token_ids.tolist() == own.sequences[0, -4:].tolist()
