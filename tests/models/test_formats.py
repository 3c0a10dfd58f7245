"""What is not a checkpoint that can be opened: one message each, with the way out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lvlm_audit import record
from lvlm_audit.errors import LvlmAuditError, ModelBroken, ModelNotFound, UnsupportedModel
from lvlm_audit.models.opening import load
from tests import tiny_models


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save(tiny_models.llava(blocks=4, width=32), tmp_path_factory.mktemp("whole"))


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


@pytest.fixture
def sharded(whole: Path, tmp_path: Path) -> Path:
    from transformers import LlavaForConditionalGeneration

    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.safetensors").unlink()
    model = LlavaForConditionalGeneration.from_pretrained(whole)
    model.save_pretrained(tmp_path, max_shard_size="100KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    return tmp_path


def refused(name: Path, kind: type[LvlmAuditError], *wanted: str) -> None:
    with pytest.raises(kind) as caught:
        load(name)
    message = str(caught.value)
    for words in wanted:
        assert words in message
    assert "\n" not in message
    assert len(message) < 700


def test_shards_are_put_together(sharded: Path, whole: Path) -> None:
    with load(sharded) as one, load(whole) as two:
        for (name, ours), (_, theirs) in zip(
            one.model.named_parameters(), two.model.named_parameters(), strict=True
        ):
            assert torch.equal(ours, theirs), name


def test_a_missing_shard_is_named(sharded: Path) -> None:
    shard = sorted(sharded.glob("*.safetensors"))[1]
    shard.unlink()
    refused(sharded, ModelBroken, "lacks 1 of the", repr(shard.name))


@pytest.mark.parametrize("left", [0, 5, 300, -1])
def test_a_shard_that_is_cut_short_is_named(sharded: Path, left: int) -> None:
    shard = sorted(sharded.glob("*.safetensors"))[1]
    shard.write_bytes(shard.read_bytes()[:left])
    refused(sharded, ModelBroken, shard.name, "again")


def test_a_whole_file_that_is_cut_short_is_named(copy: Path) -> None:
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    refused(copy, ModelBroken, "'model.safetensors' has", "cut short")


@pytest.mark.parametrize(
    "header", [b"{broken", b"[]", b'{"a": 5}', b'{"a": {"data_offsets": []}}', b"\xff\xfe"]
)
def test_a_header_that_is_none_is_refused(copy: Path, header: bytes) -> None:
    path = copy / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    refused(copy, ModelBroken, "no whole safetensors file")


def test_an_index_that_is_none_is_refused(sharded: Path) -> None:
    (sharded / "model.safetensors.index.json").write_text('{"weight_map": 5}')
    refused(sharded, ModelBroken, "not an index of shards")


def test_a_pointer_says_how_to_get_the_weights(copy: Path) -> None:
    (copy / "model.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 1\n"
    )
    refused(copy, ModelBroken, "Git LFS pointer", "git lfs pull")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("wanted", [None, "float32"])
def test_every_dtype_is_proved(dtype: torch.dtype, wanted: str | None, tmp_path: Path) -> None:
    tiny_models.save(tiny_models.llava(blocks=4, width=32, dtype=dtype), tmp_path)
    with load(tmp_path, dtype=wanted) as hooked:
        assert hooked.dtype == (torch.float32 if wanted else dtype)
        assert len(hooked.proofs) == 2
        assert record(hooked, tiny_models.probes(1), max_new_tokens=2)[0].tokens == 2


@pytest.mark.parametrize("ending", [".bin", ".pt", ".pth", ".ckpt"])
def test_pickles_are_refused_as_folder_and_as_file(copy: Path, ending: str) -> None:
    (copy / "model.safetensors").unlink()
    pickled = copy / f"pytorch_model{ending}"
    pickled.write_bytes(b"never unpickled")
    refused(copy, UnsupportedModel, pickled.name, "writes safetensors")
    refused(pickled, UnsupportedModel, "pickled", "writes safetensors")
    (copy / "config.json").unlink()
    refused(copy, UnsupportedModel, pickled.name, "no config.json", "Convert")


def test_training_leftovers_are_no_pickled_weights(copy: Path) -> None:
    (copy / "training_args.bin").write_bytes(b"never unpickled")
    assert load(copy).blocks == 4


def test_gguf_is_refused_as_folder_and_as_file(tmp_path: Path) -> None:
    for name in ("llava-q4.gguf", "mmproj-f16.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    refused(tmp_path, UnsupportedModel, "llava-q4.gguf", "mmproj", "that it was made from")
    refused(tmp_path / "llava-q4.gguf", UnsupportedModel, "llama.cpp", "that it was made from")
    (tmp_path / "config.json").write_text('{"model_type": "llava"}')
    refused(tmp_path, UnsupportedModel, "GGUF")


def test_onnx_is_refused(copy: Path, tmp_path: Path) -> None:
    (copy / "model.safetensors").unlink()
    (copy / "onnx").mkdir()
    (copy / "onnx" / "decoder.onnx").write_bytes(b"onnx")
    refused(copy, UnsupportedModel, "ONNX", "exported from")
    refused(copy / "onnx", UnsupportedModel, "ONNX", "exported from")
    refused(copy / "onnx" / "decoder.onnx", UnsupportedModel, "ONNX")


def test_mlx_is_refused(copy: Path) -> None:
    path = copy / "model.safetensors"
    save_file(load_file(path), path, metadata={"format": "mlx"})
    refused(copy, UnsupportedModel, "MLX", "converted from")


def test_a_weight_file_names_its_folder(copy: Path) -> None:
    refused(copy / "model.safetensors", ModelNotFound, "is a file", repr(str(copy)))


ORIGINALS: list[dict[str, Any]] = [
    {"model_type": "llava", "architectures": ["LlavaLlamaForCausalLM"]},
    {"model_type": "llava_llama", "architectures": ["LlavaLlamaForCausalLM"]},
    {"model_type": "llava_mistral", "architectures": ["LlavaMistralForCausalLM"]},
    {"model_type": "llava_qwen", "architectures": ["LlavaQwenForCausalLM"]},
    {"model_type": "llava_mpt", "architectures": ["LlavaMptForCausalLM"]},
    {"model_type": "bunny-phi", "mm_vision_tower": "openai/clip-vit-large-patch14-336"},
]


@pytest.mark.parametrize("config", ORIGINALS)
def test_the_original_llava_code_is_refused(copy: Path, config: dict[str, Any]) -> None:
    (copy / "config.json").write_text(json.dumps(config))
    refused(
        copy,
        UnsupportedModel,
        "original LLaVA",
        "llava-hf/llava-1.5-7b-hf",
        "convert_llava_weights_to_hf",
    )


@pytest.mark.parametrize(
    ("kind", "what"), [("evolla", "a protein model"), ("pi0", "a robot policy")]
)
def test_what_is_not_asked_about_images_is_named(copy: Path, kind: str, what: str) -> None:
    (copy / "config.json").write_text(json.dumps({"model_type": kind}))
    refused(copy, UnsupportedModel, what, "answers questions about images")


def test_names_of_files_are_shown_as_they_are_spelt(tmp_path: Path) -> None:
    (tmp_path / "a\nb\x1b[31m.gguf").write_bytes(b"GGUF")
    refused(tmp_path, UnsupportedModel, r"a\nb\x1b[31m.gguf")


def test_an_encoder_is_no_decoder(tmp_path: Path) -> None:
    from transformers import BertConfig, BertForMaskedLM

    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    BertForMaskedLM(BertConfig(**small, num_attention_heads=2)).save_pretrained(tmp_path)
    refused(tmp_path, UnsupportedModel, "neither a vision-language model nor a decoder", "BertForM")


def test_a_vision_model_without_text_is_refused(tmp_path: Path) -> None:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    config = CLIPVisionConfig(**small, num_attention_heads=2, image_size=28, patch_size=14)
    CLIPVisionModel(config).save_pretrained(tmp_path)
    refused(tmp_path, UnsupportedModel, "neither a vision-language model nor a decoder", "clip")
