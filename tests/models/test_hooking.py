"""hook(): whatever lies around a model in memory is looked through, and what cannot be is named."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lvlm_audit import hook, record
from lvlm_audit.errors import LvlmAuditError, UnsupportedModel, UsageError
from tests import tiny_models

IDS = torch.tensor([[5, 40, 77, 21, 90, 13]])
LORA: dict[str, dict[str, Any]] = {
    "attention": {"target_modules": ["q_proj", "v_proj"]},
    "head": {"target_modules": ["q_proj", "lm_head"]},
    "dora on the head": {"target_modules": ["o_proj", "lm_head"], "use_dora": True},
    "head saved whole": {"target_modules": ["o_proj"], "modules_to_save": ["lm_head"]},
}


def adapted(kind: str, *, tied: bool, dtype: torch.dtype = torch.float32) -> tuple[Any, Any]:
    peft = pytest.importorskip("peft", reason="peft is not installed")
    model, processor = tiny_models.llava(blocks=3, width=32, tied=tied, dtype=dtype)
    made = peft.get_peft_model(model, peft.LoraConfig(r=4, lora_alpha=8, **LORA[kind])).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_((0.1 * noise).to(parameter.dtype))
    return made, processor


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("kind", LORA)
def test_a_peft_model_is_read_with_its_adapter_and_given_back_as_it_came(
    kind: str, tied: bool, dtype: torch.dtype
) -> None:
    model, processor = adapted(kind, tied=tied, dtype=dtype)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    with torch.inference_mode():
        theirs = model(input_ids=IDS, output_hidden_states=True)
        with model.disable_adapter():
            bare = model(input_ids=IDS).logits
    assert float((theirs.logits - bare).abs().max()) > 0.1, "the adapter must change something"
    seen: dict[int, torch.Tensor] = {}
    with hook(model, processor) as hooked, torch.inference_mode():
        with hooked.tapped(lambda j, state: seen.__setitem__(j, state.clone())):
            ours = hooked.model(input_ids=IDS).logits
        assert record(hooked, tiny_models.probes(1), max_new_tokens=2)[0].tokens == 2
    for j in range(3):
        assert torch.equal(seen[j], theirs.hidden_states[j]), f"state {j}"
    room = {torch.float32: 2e-5, torch.bfloat16: 0.02}[dtype] * float(theirs.logits.abs().max())
    torch.testing.assert_close(ours, theirs.logits, rtol=0, atol=room)
    after = dict(model.named_parameters())
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    with torch.inference_mode():
        assert torch.equal(model(input_ids=IDS).logits, theirs.logits)


def test_an_adapter_that_is_switched_off_is_not_read() -> None:
    model, processor = adapted("head", tied=False)
    model.base_model.disable_adapter_layers()
    with torch.inference_mode():
        bare = model(input_ids=IDS).logits
        with hook(model, processor) as hooked:
            assert torch.equal(hooked.model(input_ids=IDS).logits, bare)


def test_made_up_positions_are_refused_in_memory_too() -> None:
    peft = pytest.importorskip("peft", reason="peft is not installed")
    model, processor = tiny_models.llava(blocks=3, width=32)
    kind = peft.PromptTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=3, token_dim=32, num_layers=3, num_attention_heads=4
    )  # fmt: skip
    with pytest.raises(UnsupportedModel, match="PROMPT_TUNING, which puts made-up positions"):
        hook(peft.get_peft_model(model, kind), processor)


@pytest.mark.parametrize(
    "wrap",
    [
        torch.nn.DataParallel,
        torch.compile,
        lambda model: torch.compile(torch.nn.DataParallel(model)),
    ],
    ids=["DataParallel", "compile", "both"],
)
def test_wrappers_of_torch_are_looked_through(wrap: Any) -> None:
    model, processor = tiny_models.llava(blocks=3, width=32)
    with hook(wrap(model), processor) as hooked:
        assert hooked.model is model


def test_distributed_data_parallel_is_looked_through(tmp_path: Any) -> None:
    model, processor = tiny_models.llava(blocks=3, width=32)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1
    )
    try:
        with hook(torch.nn.parallel.DistributedDataParallel(model), processor) as hooked:
            assert hooked.model is model
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("org/model", r"'org/model' is a name, not a model.*load\("),
        (None, "a NoneType is no model"),
        (torch.nn.Linear(2, 2), "Linear does not answer token by token"),
        (tiny_models.llava, "is no model that can be hooked"),
    ],
)
def test_what_is_no_model_is_called_so(what: Any, message: str) -> None:
    with pytest.raises(LvlmAuditError, match=message):
        hook(what)


def test_what_holds_a_model_says_where() -> None:
    model, processor = tiny_models.llava(blocks=3, width=32)

    class Trainer:
        pass

    trainer: Any = Trainer()
    trainer.model = model
    with pytest.raises(UsageError, match=r"a Trainer is no model .*\.model"):
        hook(trainer, processor)
    with pytest.raises(UsageError, match="a LlavaProcessor is no model"):
        hook(processor, model)


def test_half_a_processor_is_refused() -> None:
    model, processor = tiny_models.llava(blocks=3, width=32)
    with pytest.raises(
        UsageError,
        match=r"CLIPImageProcessor.*no tokenizer .*an image processor alone.*whole processor",
    ):
        hook(model, processor.image_processor)
    with pytest.raises(UsageError, match="processor=str has no tokenizer"):
        hook(model, "org/model")
