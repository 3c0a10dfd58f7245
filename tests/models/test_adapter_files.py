"""What lies in an adapter's folder beside the adapter: trained weights, tokenizer, template, added tokens."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from lvlm_audit import load
from lvlm_audit.errors import ModelNotFound, UnsupportedModel
from lvlm_audit.settings.spelling import for_pytest, in_python, speaking
from tests import tiny_models
from tests.models.checkpoints import setting, whole

peft = pytest.importorskip("peft", reason="peft is not installed: adapters cannot be tried")

IDS = torch.tensor([[5, 40, 77, 21, 90, 13]])
OTHER = (
    "{% for m in messages %}NEW {% for part in m['content'] %}{% if part['type'] == 'image' %}<image>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
)


def adapted(base: Path, folder: Path, *, rows: int | None = None, **how: Any) -> Any:
    """An adapter saved by peft, and the model that saved it."""
    from transformers import LlavaForConditionalGeneration

    model = LlavaForConditionalGeneration.from_pretrained(base).eval()
    if rows is not None:
        model.resize_token_embeddings(rows, mean_resizing=False)
    made = peft.get_peft_model(model, peft.LoraConfig(r=4, **{"target_modules": ["q_proj"], **how}))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    made.save_pretrained(folder)
    return made.eval()


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    adapted(whole(), tmp_path / "adapter")
    return tmp_path / "adapter"


@pytest.mark.parametrize(
    "file",
    [
        "non_lora_trainables.bin",
        "mm_projector.bin",
        "projector.safetensors",
        "model.safetensors",
        "resampler.pt",
    ],
)
@pytest.mark.parametrize("given", ["as the model", "over the base"])
def test_weights_trained_beside_an_adapter_are_not_left_out(
    adapter: Path, file: str, given: str
) -> None:
    (adapter / file).write_bytes(b"never read")
    with pytest.raises(UnsupportedModel, match=rf"trained weights .*{file}.*[Mm]erge"):
        load(adapter) if given == "as the model" else load(whole(), adapter=adapter)


@pytest.mark.parametrize(
    "file",
    ["training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state_0.pth", "adapter_model.bin"],
)
def test_states_of_training_do_not_stand_in_the_way(adapter: Path, file: str) -> None:
    (adapter / file).write_bytes(b"never read")
    with load(adapter) as hooked:
        assert hooked.notes == ()


def test_an_adapter_with_a_config_and_no_model_says_so(adapter: Path) -> None:
    shutil.copy(whole() / "config.json", adapter)
    message = r"an adapter .*and a config\.json, but no weights of a model.*"
    for spelling, words in (
        (in_python, "model='BASE' and adapter='"),
        (for_pytest, "--lvlm-model BASE and --lvlm-adapter /"),
    ):
        with speaking(spelling), pytest.raises(ModelNotFound, match=message + words):
            load(adapter)
    with load(whole(), adapter=adapter) as hooked:
        assert hooked.blocks == 3


def asked(hooked: Any) -> str:
    ids = hooked.inputs(tiny_models.probes(1))["input_ids"][0]
    return str(hooked.tokenizer.decode(ids)).replace("<image>", "")


@pytest.mark.parametrize("given", ["as the model", "over the base"])
def test_an_adapters_own_template_is_used_and_said(adapter: Path, given: str) -> None:
    (adapter / "chat_template.jinja").write_text(OTHER)
    with load(adapter) if given == "as the model" else load(whole(), adapter=adapter) as hooked:
        assert asked(hooked) == "NEW Is it a tree?"
        assert [(note.about, note.text) for note in hooked.notes] == [
            (
                "processor",
                "the adapter's own files are used instead of the base's: chat_template.jinja",
            )
        ]


def test_an_adapters_template_in_its_tokenizers_settings_wins_over_the_bases_file(
    adapter: Path,
) -> None:
    shutil.copy(whole() / "tokenizer_config.json", adapter)
    setting(adapter, "chat_template", OTHER, "tokenizer_config.json")
    with load(adapter) as hooked:
        assert asked(hooked) == "NEW Is it a tree?"
        assert "tokenizer_config.json" in hooked.notes[0].text


def test_an_adapters_own_tokenizer_is_used(adapter: Path) -> None:
    words = tiny_models.tokenizer(300)
    words.save_pretrained(adapter)
    with load(adapter) as hooked:
        assert len(hooked.tokenizer) == len(words)
        assert hooked.tokenizer("Is it a tree?")["input_ids"] == words("Is it a tree?")["input_ids"]


def test_an_adapters_own_image_settings_are_used(adapter: Path) -> None:
    shutil.copy(whole() / "processor_config.json", adapter)
    setting(adapter, "image_processor.image_mean", [0.1, 0.2, 0.3], "processor_config.json")
    with load(adapter) as hooked:
        assert list(hooked.processor.image_processor.image_mean) == [0.1, 0.2, 0.3]


def test_the_same_files_once_more_are_no_news(adapter: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "processor_config.json"):
        shutil.copy(whole() / name, adapter)
    with load(adapter) as hooked:
        assert hooked.notes == ()


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("rows", [390, 380])
def test_added_tokens_that_an_adapter_brings_are_used(
    tied: bool, rows: int, tmp_path: Path
) -> None:
    base = tiny_models.save(tiny_models.llava(blocks=3, width=32, tied=tied), tmp_path / "base")
    reference = adapted(
        base, tmp_path / "adapter", rows=rows, modules_to_save=["embed_tokens", "lm_head"]
    )
    with load(base, adapter=tmp_path / "adapter") as hooked, torch.inference_mode():
        assert hooked.vocabulary == rows
        theirs = reference(input_ids=IDS).logits
        torch.testing.assert_close(hooked.model(input_ids=IDS).logits, theirs, rtol=0, atol=1e-5)
        assert f"have 384 rows, the adapter brings {rows}" in hooked.notes[0].text


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens"])
def test_added_tokens_that_an_adapter_does_not_bring_name_both_sizes(
    target: str, tmp_path: Path
) -> None:
    adapted(whole(), tmp_path, rows=390, target_modules=[target])
    with pytest.raises(UnsupportedModel, match=rf"{target}.*390.*384.*save_embedding_layers=True"):
        load(whole(), adapter=tmp_path)


def test_an_adapter_of_another_width_names_both_sizes(adapter: Path, tmp_path: Path) -> None:
    other = tiny_models.save(tiny_models.llava(blocks=3, width=64), tmp_path / "other")
    with pytest.raises(
        UnsupportedModel, match=r"q_proj.*4 x 32 in the adapter, 4 x 64 in the base"
    ):
        load(other, adapter=adapter)
