"""Unusual ends of decoders, made by hand on an ordinary one, and what is found of them."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch

from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.models.opening import hook
from lvlm_audit.models.readout import Readout
from lvlm_audit.models.rest import Rest
from lvlm_audit.probes.probe import Probe
from tests import tiny_models


def with_logits(monkeypatch: pytest.MonkeyPatch, model: Any, change: Any) -> None:
    original = type(model).forward

    @functools.wraps(original)
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        out = original(self, *args, **kwargs)
        out.logits = change(out.logits)
        return out

    monkeypatch.setattr(type(model), "forward", forward)


def with_last_state(
    monkeypatch: pytest.MonkeyPatch, decoder: Any, change: Any, *, reported: bool
) -> None:
    original = type(decoder).forward

    @functools.wraps(original)
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        out = original(self, *args, **kwargs)
        out.last_hidden_state = change(out.last_hidden_state)
        if reported and out.hidden_states is not None:
            out.hidden_states = (*out.hidden_states[:-1], out.last_hidden_state)
        return out

    monkeypatch.setattr(type(decoder), "forward", forward)


@pytest.mark.parametrize("low", [-torch.inf, torch.finfo(torch.float32).min])
def test_barred_words_are_found_and_never_read(monkeypatch: pytest.MonkeyPatch, low: float) -> None:
    model, processor = tiny_models.llava()
    barred = [7, 9, 300]

    def bar(logits: torch.Tensor) -> torch.Tensor:
        logits = logits.clone()
        logits[..., barred] = low
        return logits

    with_logits(monkeypatch, model, bar)
    hooked = hook(model, processor)
    assert list(hooked.anatomy.barred) == barred
    assert "3 words barred" in hooked.anatomy.describe()
    readout = Readout(hooked.anatomy)
    p = readout.logits(torch.randn(5, 64)).softmax(-1)
    assert (p[:, barred] == 0).all()
    torch.testing.assert_close(p.sum(-1), torch.ones(5))


def test_rows_of_the_head_that_the_model_cuts_off_are_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, processor = tiny_models.llava()
    with_logits(monkeypatch, model, lambda logits: logits[..., :380])
    hooked = hook(model, processor)
    assert hooked.vocabulary == 380
    assert "last 4 rows unused" in hooked.anatomy.describe()
    assert Readout(hooked.anatomy).logits(torch.randn(2, 64)).shape == (2, 380)


def test_scaled_and_then_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = tiny_models.llava()
    model.config.text_config.final_logit_softcapping = 4.0
    model.config.text_config.output_multiplier = 0.3
    with_logits(monkeypatch, model, lambda logits: 4 * torch.tanh(0.3 * logits / 4))
    anatomy = hook(model, processor).anatomy
    assert (anatomy.logit_scale, anatomy.soft_cap) == (pytest.approx(0.3), 4.0)


@pytest.mark.parametrize("bias", [False, True])
def test_a_factor_on_the_heads_input_is_measured(
    monkeypatch: pytest.MonkeyPatch, bias: bool
) -> None:
    model, processor = tiny_models.llava()
    if bias:
        model.lm_head.bias = torch.nn.Parameter(torch.randn(384))
    with_last_state(monkeypatch, model.model, lambda state: state * 0.125, reported=False)
    hooked = hook(model, processor)
    assert hooked.anatomy.input_scale == pytest.approx(0.125, rel=1e-5)
    assert hooked.anatomy.logit_scale == pytest.approx(1.0, rel=1e-4)
    assert hooked.proofs[0].logit_difference < 1e-4


def test_code_after_the_blocks_is_run_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """No chain of modules: but a function of the last state alone, within the decoder."""
    model, processor = tiny_models.llava()
    decoder = model.model.language_model
    with_last_state(monkeypatch, decoder, lambda x: x / (1 + x.abs()), reported=True)
    hooked = hook(model, processor)
    assert [type(norm) for norm in hooked.anatomy.norms] == [Rest]
    assert hooked.proofs[0].logit_difference < 1e-4
    kept = sum(p.numel() for p in hooked.anatomy.norms[0].parameters())
    assert kept == 64, "the norm's weight alone: neither blocks nor embeddings are copied"


def test_code_that_looks_at_other_positions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = tiny_models.llava()
    decoder = model.model.language_model
    with_last_state(monkeypatch, decoder, lambda x: x - x.mean(1, keepdim=True), reported=True)
    with pytest.raises(UnsupportedModel, match="not a chain of modules"):
        hook(model, processor)


def test_a_model_that_takes_no_text_without_an_image_is_proved_with_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, processor = tiny_models.llava()
    original = type(model).forward

    @functools.wraps(original)
    def picky(self: Any, *args: Any, **kwargs: Any) -> Any:
        # generate() encodes the image beforehand, and shows it to the first step alone.
        shown = kwargs.get("pixel_values") is not None or kwargs.get("mm_encoder_outputs")
        if not shown and kwargs["input_ids"].shape[1] > 1:
            raise ValueError("You have to specify pixel_values")
        return original(self, *args, **kwargs)

    monkeypatch.setattr(type(model), "forward", picky)
    assert [proof.asked for proof in hook(model, processor).proofs] == ["image and text"]
    with pytest.raises(UnsupportedModel, match=r"cannot be run on .*pixel_values.*sample="):
        hook(model)


def test_a_norm_is_not_taken_for_a_factor_on_a_single_position() -> None:
    model, _ = tiny_models.llava()
    norm = model.model.language_model.norm
    with torch.no_grad():
        norm.weight.fill_(1.0)  # on one position its output is the input times a number
    ids = {"input_ids": torch.tensor([[50]])}
    with hook(model, sample=Probe.prepared(ids)) as hooked:
        assert hooked.anatomy.norms == (norm,)
        assert hooked.anatomy.input_scale == 1.0
