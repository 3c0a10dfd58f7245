"""Quantised checkpoints: opened as they were saved, and the head read by the numbers that it stands for."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lvlm_audit import record
from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.models.aliases import resolve
from lvlm_audit.models.identity import packages_of
from lvlm_audit.models.opening import hook, load
from lvlm_audit.models.quantised import in_full, is_quantised
from tests import tiny_models
from tests.reference import assert_as_generated


@pytest.fixture(scope="module")
def torchao() -> Any:
    # It announces the kernels that this machine lacks.
    logging.disable(logging.WARNING)
    try:
        return pytest.importorskip("torchao.quantization", reason="torchao is not installed")
    finally:
        logging.disable(logging.NOTSET)


def scheme(torchao: Any, name: str) -> Any:
    if name == "int8":
        return torchao.Int8WeightOnlyConfig()
    if name == "int8 with rounded inputs":
        return torchao.Int8DynamicActivationInt8WeightConfig()
    return torchao.IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=torchao.PerGroup(32))


@pytest.fixture(scope="module")
def quantised(torchao: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A LLaVA quantised by a scheme, saved by transformers; the head as well if asked."""
    from transformers import LlavaForConditionalGeneration, TorchAoConfig

    def make(name: str, dtype: torch.dtype, *, head: bool = False) -> Path:
        pair = tiny_models.llava(dtype=dtype, blocks=4, width=64)
        base = tiny_models.save(pair, tmp_path_factory.mktemp("base"))
        kept = ["model.vision_tower", "model.multi_modal_projector", *([] if head else ["lm_head"])]
        model = LlavaForConditionalGeneration.from_pretrained(
            base,
            dtype="auto",
            quantization_config=TorchAoConfig(
                scheme(torchao, name),
                modules_to_not_convert=kept,
                include_input_output_embeddings=head,
            ),
        )
        return tiny_models.save((model, pair[1]), tmp_path_factory.mktemp("quantised"))

    return make


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("head", [False, True])
@pytest.mark.parametrize("name", ["int8", "int4"])
def test_a_quantised_checkpoint_is_read_as_transformers_generates(
    quantised: Callable[..., Path],
    name: str,
    head: bool,
    dtype: torch.dtype,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from transformers import LlavaForConditionalGeneration

    folder = quantised(name, dtype, head=head)
    capfd.readouterr()
    with load(folder) as hooked:
        assert capfd.readouterr() == ("", ""), "no warnings, no bars"
        assert is_quantised(hooked.anatomy.blocks[0].mlp.up_proj.weight)
        assert is_quantised(hooked.anatomy.head.weight) is head
        assert any("head quantised" in d for d in hooked.anatomy.deviations()) is head
        assert hooked.dtype == dtype
        probe = tiny_models.probes(1)[0]
        trace = record(hooked, [probe], max_new_tokens=4)[0]
        inputs = hooked.inputs([probe])
    model = LlavaForConditionalGeneration.from_pretrained(folder, dtype="auto")
    room = {torch.float32: 1e-4, torch.bfloat16: 5e-2}[dtype]
    assert_as_generated(model, inputs, trace, room)


def test_a_head_that_rounds_its_inputs_is_refused_with_the_remedy(
    quantised: Callable[..., Path],
) -> None:
    folder = quantised("int8 with rounded inputs", torch.float32, head=True)
    with pytest.raises(UnsupportedModel, match="head quantised.*leave the head out"):
        load(folder)
    with load(quantised("int8 with rounded inputs", torch.float32)) as hooked:
        assert hooked.proofs


def test_an_adapter_goes_over_a_quantised_base(
    quantised: Callable[..., Path], tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft")
    from transformers import LlavaForConditionalGeneration

    base = quantised("int8", torch.float32)

    def fresh() -> Any:
        return LlavaForConditionalGeneration.from_pretrained(base).eval()

    kind = peft.LoraConfig(r=4, target_modules=["q_proj", "up_proj"], init_lora_weights=False)
    peft.get_peft_model(fresh(), kind).save_pretrained(tmp_path)
    ids = torch.tensor([[5, 40, 77]])
    with torch.inference_mode():
        theirs = peft.PeftModel.from_pretrained(fresh(), tmp_path).eval()(input_ids=ids).logits
        bare = fresh()(input_ids=ids).logits
        with load(base, adapter=tmp_path) as hooked:
            ours = hooked.model(input_ids=ids).logits
    assert not torch.allclose(theirs, bare, atol=0.1)
    torch.testing.assert_close(ours, theirs)


def test_the_package_takes_part_in_the_content_key(quantised: Callable[..., Path]) -> None:
    folder = quantised("int8", torch.float32)
    assert packages_of(resolve(str(folder))) == ("torchao",)


def test_without_the_package_the_error_names_it(
    quantised: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers.quantizers.quantizer_torchao as quantizer

    folder = quantised("int8", torch.float32)
    monkeypatch.setattr(quantizer, "is_torchao_available", lambda: False)
    with pytest.raises(UnsupportedModel, match="pip install torchao"):
        load(folder)


def test_numbers_in_full_are_what_a_scheme_rounds_to(torchao: Any) -> None:
    layer = torch.nn.Linear(64, 32, bias=False)
    original = layer.weight.detach().clone()
    assert in_full(layer.weight) is layer.weight
    torchao.quantize_(layer, torchao.Int8WeightOnlyConfig())
    full = in_full(layer.weight)
    assert full is not None
    # By hand: symmetric, one scale a row, 127 steps.
    scale = original.abs().amax(1, keepdim=True) / 127.5
    by_hand = (original / scale).round().clamp(-128, 127) * scale
    torch.testing.assert_close(full, by_hand, rtol=0, atol=float(scale.max()))
    ones = torch.ones(64)
    torch.testing.assert_close(full @ ones, layer(ones[None])[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn])
def test_a_head_that_does_not_give_its_weights_is_refused(dtype: torch.dtype) -> None:
    model, processor = tiny_models.llava(blocks=3, width=32)
    rows = model.lm_head.weight.shape
    stored = torch.nn.Parameter(torch.zeros(rows).to(dtype), requires_grad=False)
    assert in_full(stored) is None

    class Packed(torch.nn.Module):
        weight = stored

        def forward(self, states: torch.Tensor) -> torch.Tensor:
            return states.new_zeros(*states.shape[:-1], rows[0])

    model.lm_head = Packed()
    with pytest.raises(UnsupportedModel, match="quantised .*llm_int8_skip_modules"):
        hook(model, processor)


@pytest.mark.parametrize("bits", [4, 8])
def test_bitsandbytes(bits: int, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    if bits == 4 and not torch.cuda.is_available():
        pytest.skip("bitsandbytes' 4-bit product is tried where CUDA is")
    from transformers import BitsAndBytesConfig, LlavaForConditionalGeneration

    pair = tiny_models.llava(dtype=torch.bfloat16, blocks=4, width=64)
    base = tiny_models.save(pair, tmp_path / "base")
    kind = BitsAndBytesConfig(**{f"load_in_{bits}bit": True})
    model = LlavaForConditionalGeneration.from_pretrained(base, quantization_config=kind)
    folder = tiny_models.save((model, pair[1]), tmp_path / "quantised")
    with load(folder) as hooked:
        assert is_quantised(hooked.anatomy.blocks[0].mlp.up_proj.weight)
        assert record(hooked, tiny_models.probes(1), max_new_tokens=3)[0].tokens == 3


def test_nothing_of_it_is_imported_by_us() -> None:
    code = (
        "import sys, lvlm_audit, lvlm_audit.models.opening, lvlm_audit.models.weights;"
        "bad = {'torchao', 'peft', 'accelerate', 'bitsandbytes'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
