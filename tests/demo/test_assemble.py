"""Assembly: an ordinary checkpoint, whole or not there at all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor

from lvlm_audit.demo import assemble as assembling
from lvlm_audit.demo.architecture import Adapter
from lvlm_audit.demo.decoder import DecoderSource, DemoAssemblyError
from lvlm_audit.demo.perception import patch_outputs
from lvlm_audit.demo.recipe import IMAGE_TOKEN_ID, RECIPE_VERSION, Recipe
from lvlm_audit.errors import DemoModelMissing

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 32, 3), dtype=np.uint8))


@pytest.fixture
def assembled(
    cache: Path, tiny_adapter: Path, tiny_source: DecoderSource, monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.setattr(assembling, "fetch_decoder", lambda *a, **k: tiny_source)
    return assembling.fetch_and_assemble(adapter=tiny_adapter)


def test_it_is_an_ordinary_checkpoint(assembled: Path, tiny_decoder_folder: Path) -> None:
    model, info = AutoModelForImageTextToText.from_pretrained(
        assembled, dtype="float32", output_loading_info=True
    )
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert model.lm_head.weight.data_ptr() == model.get_input_embeddings().weight.data_ptr()
    decoder = AutoModelForCausalLM.from_pretrained(tiny_decoder_folder, dtype="float32")
    ids = torch.tensor([[1, 40, 50, 60]])
    torch.testing.assert_close(model(input_ids=ids).logits, decoder(ids).logits)
    stored = load_file(assembled / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}


def test_the_joined_model_sees_what_training_saw(
    assembled: Path, tiny_adapter: Path, tiny_recipe: Recipe
) -> None:
    model = AutoModelForImageTextToText.from_pretrained(assembled, dtype="float32")
    adapter = Adapter(tiny_recipe.tower, 32)
    adapter.load_checkpoint(load_file(tiny_adapter / "adapter.safetensors"))
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    mine = adapter.projector(patch_outputs(adapter.tower, pixels))
    features = model.get_image_features(pixel_values=(pixels.float() / 255.0 - 0.5) / 0.5)
    torch.testing.assert_close(torch.stack(list(features.pooler_output)), mine)


def test_the_processor_and_greedy_generation(assembled: Path) -> None:
    processor = AutoProcessor.from_pretrained(assembled)
    model = AutoModelForImageTextToText.from_pretrained(assembled)
    text = processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Hi?"}]}],
        add_generation_prompt=True,
    )
    inputs = processor(images=PICTURE, text=text, return_tensors="pt")
    assert int((inputs["input_ids"] == IMAGE_TOKEN_ID).sum()) == 4
    assert inputs["pixel_values"].shape == (1, 3, 32, 32)
    output = model.generate(**inputs, max_new_tokens=3, do_sample=False)
    assert output.shape[1] <= inputs["input_ids"].shape[1] + 3
    # A batch of unlike lengths must be padded before the prompt, never after it.
    both = processor(text=["a", "abc"], padding=True, return_tensors="pt")
    assert both["attention_mask"].tolist()[0] == [0, 0, 1]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([{"type": "image"}, {"type": "text", "text": "Hi?"}], "<image>\nHi?"),
        ([{"type": "text", "text": "Hi?"}, {"type": "image"}], "<image>\nHi?"),
        ([{"type": "text", "text": "Hi?"}], "Hi?"),
        ("Hi?", "Hi?"),
    ],
)
def test_the_chat_template(assembled: Path, content: Any, expected: str) -> None:
    processor = AutoProcessor.from_pretrained(assembled)
    messages = [{"role": "user", "content": content}]
    asked = f"<|im_start|>user\n{expected}<|im_end|>\n"
    assert processor.apply_chat_template(messages) == asked
    opened = processor.apply_chat_template(messages, add_generation_prompt=True)
    assert opened == asked + "<|im_start|>assistant\n"


def test_the_image_token_takes_the_reserved_place(
    assembled: Path, tiny_decoder_folder: Path
) -> None:
    tokenizer = AutoProcessor.from_pretrained(assembled).tokenizer
    assert tokenizer.encode("a<image>b", add_special_tokens=False)[1] == IMAGE_TOKEN_ID
    assert tokenizer.decode([IMAGE_TOKEN_ID]) == "<image>"
    assert tokenizer.decode([IMAGE_TOKEN_ID], skip_special_tokens=True) == ""
    config = json.loads((tiny_decoder_folder / "config.json").read_text())
    assert len(tokenizer) == config["vocab_size"]


def test_provenance_says_where_the_weights_came_from(assembled: Path, tiny_adapter: Path) -> None:
    said = assembling.provenance(assembled)
    assert said is not None
    assert said["decoder"]["description"] == "a tiny decoder"
    assert said["recipe_version"] == RECIPE_VERSION
    assert said["adapter_sha256"] == assembling.file_sha256(tiny_adapter / "adapter.safetensors")


@pytest.mark.usefixtures("forbid_fetching")
def test_a_whole_model_is_reused_at_once(
    cache: Path, tiny_adapter: Path, tiny_source: DecoderSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(assembling, "fetch_decoder", lambda *a, **k: tiny_source)
        first = assembling.fetch_and_assemble(adapter=tiny_adapter)
    assert assembling.fetch_and_assemble(adapter=tiny_adapter) == first
    assert assembling.demo_folder(tiny_adapter) == first
    assert [path.name for path in cache.iterdir()] == [first.name]


@pytest.mark.parametrize("name", ["model.safetensors", "chat_template.jinja", "tokenizer.json"])
def test_a_model_that_was_edited_is_not_the_demo(
    assembled: Path, tiny_adapter: Path, name: str
) -> None:
    """Of the same size: an audit of it would be called the demo's."""
    path = assembled / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])
    with pytest.raises(DemoModelMissing):
        assembling.demo_folder(tiny_adapter)
    assert assembling.fetch_and_assemble(adapter=tiny_adapter) == assembled
    assert path.read_bytes() == whole


def test_a_model_of_an_earlier_version_is_told_by_its_sizes(
    assembled: Path, tiny_adapter: Path
) -> None:
    path = assembled / assembling.PROVENANCE_FILE
    said = json.loads(path.read_text())
    del said["sha256"]
    path.write_text(json.dumps(said))
    assert assembling.demo_folder(tiny_adapter) == assembled


def test_a_damaged_model_is_not_used_and_is_made_anew(assembled: Path, tiny_adapter: Path) -> None:
    weights = assembled / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DemoModelMissing):
        assembling.demo_folder(tiny_adapter)
    assert assembling.fetch_and_assemble(adapter=tiny_adapter) == assembled
    assert weights.stat().st_size == len(whole)


@pytest.mark.parametrize("stage", ["fetch_decoder", "load_decoder", "_write_processor"])
def test_nothing_half_written_is_left_behind(
    cache: Path,
    tiny_adapter: Path,
    tiny_source: DecoderSource,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(assembling, "fetch_decoder", lambda *a, **k: tiny_source)
    monkeypatch.setattr(assembling, stage, fail)
    with pytest.raises(DemoAssemblyError, match="No space left"):
        assembling.fetch_and_assemble(adapter=tiny_adapter)
    assert list(cache.iterdir()) == []


def test_an_interruption_leaves_nothing_either(
    cache: Path, tiny_adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(assembling, "fetch_decoder", interrupt)
    with pytest.raises(KeyboardInterrupt):
        assembling.fetch_and_assemble(adapter=tiny_adapter)
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written(
    tmp_path: Path, tiny_adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(tmp_path / "file"))
    with pytest.raises(DemoAssemblyError, match="LVLM_AUDIT_CACHE"):
        assembling.fetch_and_assemble(adapter=tiny_adapter)


def test_another_decoder_is_refused(
    cache: Path, tiny_recipe: Recipe, tiny_source: DecoderSource, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from lvlm_audit.demo.training import write_adapter

    write_adapter(Adapter(tiny_recipe.tower, 48), tiny_recipe, tmp_path / "other", {})
    monkeypatch.setattr(assembling, "fetch_decoder", lambda *a, **k: tiny_source)
    with pytest.raises(DemoAssemblyError, match="does not fit the decoder"):
        assembling.fetch_and_assemble(adapter=tmp_path / "other")


@pytest.mark.usefixtures("forbid_fetching")
def test_a_missing_model_names_the_command(cache: Path, tiny_adapter: Path) -> None:
    with pytest.raises(DemoModelMissing, match="lvlm-audit demo"):
        assembling.demo_folder(tiny_adapter)


def test_a_missing_adapter_is_said(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(DemoModelMissing, match=r"adapter\.safetensors"):
        assembling.demo_folder(tmp_path)


def test_looking_for_the_model_imports_no_torch(cache: Path) -> None:
    code = (
        "import sys\n"
        "from lvlm_audit.demo.assemble import demo_folder\n"
        "from lvlm_audit.errors import DemoModelMissing\n"
        "try:\n    demo_folder()\n"
        "except DemoModelMissing:\n    pass\n"
        "print('torch' in sys.modules, 'transformers' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
