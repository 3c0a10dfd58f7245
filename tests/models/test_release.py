"""Closing: no reference of ours keeps the weights, and a model that was hooked is as it came."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from lvlm_audit import record
from lvlm_audit.models.hooks import count_hooks
from lvlm_audit.models.opening import hook, load
from tests import tiny_models


def weights(model: torch.nn.Module) -> list[weakref.ref[Any]]:
    return [weakref.ref(parameter) for parameter in model.parameters()]


def alive(references: list[weakref.ref[Any]]) -> int:
    gc.collect()
    return sum(reference() is not None for reference in references)


@pytest.mark.parametrize("family", ["llava", "gemma3", "paligemma", "idefics3"])
def test_nothing_keeps_the_weights_of_a_closed_model(family: str, tmp_path: Path) -> None:
    folder = tiny_models.save(tiny_models.FAMILIES[family](), tmp_path)
    with load(folder) as hooked:
        traces = record(hooked, tiny_models.probes(2), max_new_tokens=3)
        references = weights(hooked.model)
        assert alive(references) == len(references) > 10
    del hooked
    assert alive(references) == 0
    assert traces[0].tokens > 0


def test_nothing_keeps_the_weights_of_a_refused_model(tmp_path: Path) -> None:
    from lvlm_audit.errors import LvlmAuditError

    model, processor = tiny_models.llava(blocks=3, width=32)
    references = weights(model)
    with torch.no_grad():
        model.model.language_model.layers[1].mlp.down_proj.weight.fill_(torch.nan)
    with pytest.raises(LvlmAuditError):
        hook(model, processor)
    del model
    assert alive(references) == 0


def test_memory_comes_back(tmp_path: Path) -> None:
    pair = tiny_models.llava(blocks=4, width=768, vocabulary=6000)
    size = sum(p.numel() * p.element_size() for p in pair[0].parameters())
    assert size > 60 * 2**20
    tiny_models.save(pair, tmp_path)
    del pair

    def after_a_visit() -> int:
        with load(tmp_path) as hooked:
            record(hooked, tiny_models.probes(1), max_new_tokens=2)
        del hooked
        gc.collect()
        return int(psutil.Process().memory_info().rss)

    # The first visits fill what torch and transformers keep for good.
    settled = [after_a_visit() for _ in range(2)][-1]
    later = [after_a_visit() for _ in range(3)]
    assert min(later) - settled < size / 2, (size, settled, later)


@pytest.mark.parametrize("training", [True, False])
def test_a_model_in_memory_is_given_back_as_it_came(training: bool) -> None:
    model, processor = tiny_models.llava(blocks=3, width=32)
    model.train(training)
    model.model.vision_tower.eval()

    seen: list[int] = []
    handle = model.lm_head.register_forward_hook(lambda *_: seen.append(1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = {name: module.training for name, module in model.named_modules()}
    settings = (model.config.to_dict(), model.generation_config.to_dict())
    known = {name: set(vars(module)) for name, module in model.named_modules()}
    forwards = {name: module.forward for name, module in model.named_modules()}
    needs = {name: p.requires_grad for name, p in model.named_parameters()}
    hooks = count_hooks(model)
    padding = processor.tokenizer.padding_side, processor.tokenizer.pad_token

    with hook(model, processor) as hooked:
        record(hooked, tiny_models.probes(2), max_new_tokens=3)

    assert {name: module.training for name, module in model.named_modules()} == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert (model.config.to_dict(), model.generation_config.to_dict()) == settings
    assert {name: set(vars(module)) for name, module in model.named_modules()} == known
    assert {name: module.forward for name, module in model.named_modules()} == forwards
    assert {name: p.requires_grad for name, p in model.named_parameters()} == needs
    assert (processor.tokenizer.padding_side, processor.tokenizer.pad_token) == padding
    assert count_hooks(model) == hooks
    assert seen, "the user's own hook went on working"
    handle.remove()
