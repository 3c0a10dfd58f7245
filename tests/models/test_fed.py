"""What a model is fed beside the probes, by value, on several architectures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lvlm_audit
from lvlm_audit.models.fed import fed
from lvlm_audit.models.looking import channel_order
from lvlm_audit.models.machine import blas_of, machine
from tests import tiny_models

SECTIONS = {"processor", "chat template", "tokenizer", "special tokens", "generation"}
ASKED = ["llava", "llava next", "paligemma", "gemma3", "qwen2.5-vl", "idefics3", "internvl"]


def of(model: Any, processor: Any) -> dict[str, dict[str, Any]]:
    with lvlm_audit.hook(model, processor, name="tiny") as hooked:
        return fed(hooked)


def changed(pair: tiny_models.Pair, before: dict[str, dict[str, Any]]) -> set[str]:
    """Names of what differs, as "section: name"."""
    after = of(*pair)
    return {
        f"{section}: {name}"
        for section in SECTIONS
        for name in before[section].keys() | after[section].keys()
        if before[section].get(name) != after[section].get(name)
    }


@pytest.mark.parametrize("family", ASKED)
def test_sections_are_flat_plain_and_the_same_each_time(family: str) -> None:
    model, processor = tiny_models.FAMILIES[family]()
    found = of(model, processor)
    assert set(found) == SECTIONS
    assert of(*tiny_models.FAMILIES[family]()) == found
    # Plain values survive JSON as they are.
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert not any(isinstance(v, dict) for section in found.values() for v in section.values())
    images = found["processor"]
    assert images["image_mean"] == list(processor.image_processor.image_mean)
    assert images["image_std"] == list(processor.image_processor.image_std)
    assert images["resample"] in ("BICUBIC", "BILINEAR", "LANCZOS")
    assert any(name.split(".")[0] == "size" for name in images)
    assert images["channel_order"] == "RGB"
    assert images["image_tokens_of_64x64"] > 0
    assert found["tokenizer"]["vocabulary_size"] == len(processor.tokenizer)
    assert found["special tokens"]["eos_token"] == "</s>"
    assert found["special tokens"]["eos_token_id"] == 1
    assert found["generation"]["eos_token_id"] == 1
    assert found["chat template"] == (
        {} if processor.chat_template is None else {"text": processor.chat_template}
    )


@pytest.mark.parametrize("family", ["llava", "qwen2.5-vl", "idefics3"])
def test_what_a_plain_picture_becomes_is_its_mean_and_standard_deviation(family: str) -> None:
    model, processor = tiny_models.FAMILIES[family]()
    images = of(model, processor)["processor"]
    for place, color in enumerate(("red", "green", "blue")):
        expected = (np.eye(3)[place] - images["image_mean"]) / images["image_std"]
        assert images[f"{color}_picture"] == pytest.approx(expected.tolist(), rel=6e-3)


class TestEachDifferenceIsNamed:
    """And nothing else is."""

    @pytest.mark.parametrize(
        ("name", "value"),
        [("image_mean", [0.5, 0.5, 0.5]), ("image_std", [0.5, 0.5, 0.5]), ("rescale_factor", 0.01)],
    )
    def test_a_setting_of_the_images(self, name: str, value: Any) -> None:
        model, processor = tiny_models.llava()
        before = of(model, processor)
        setattr(processor.image_processor, name, value)
        pictures = {f"processor: {color}_picture" for color in ("red", "green", "blue")}
        assert changed((model, processor), before) == {f"processor: {name}"} | pictures

    def test_resampling(self) -> None:
        model, processor = tiny_models.llava()
        before = of(model, processor)
        # As a JSON file has it.
        processor.image_processor.resample = 0
        assert changed((model, processor), before) == {"processor: resample"}
        assert of(model, processor)["processor"]["resample"] == "NEAREST"

    @pytest.mark.parametrize("family", ["llava", "qwen2.5-vl", "idefics3", "paligemma"])
    def test_swapped_channels_that_no_setting_says(
        self, family: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model, processor = tiny_models.FAMILIES[family]()
        before = of(model, processor)
        kind = type(processor.image_processor)
        plain = kind.preprocess

        def swapped(self: Any, images: Any, *args: Any, **more: Any) -> Any:
            def turn(one: Any) -> Any:
                if isinstance(one, (list, tuple)):
                    return [turn(each) for each in one]
                red, green, blue = one.convert("RGB").split()
                return Image.merge("RGB", (blue, green, red))

            return plain(self, turn(images), *args, **more)

        monkeypatch.setattr(kind, "preprocess", swapped)
        names = changed((model, processor), before)
        assert "processor: channel_order" in names
        assert of(model, processor)["processor"]["channel_order"] == "BGR"

    def test_fewer_image_tokens(self) -> None:
        model, processor = tiny_models.idefics3()
        before = of(model, processor)
        processor.image_processor.do_image_splitting = False
        assert changed((model, processor), before) == {
            "processor: image_tokens_of_64x64",
            "processor: do_image_splitting",
        }

    def test_the_template(self) -> None:
        model, processor = tiny_models.llava()
        before = of(model, processor)
        processor.chat_template += " "
        assert changed((model, processor), before) == {"chat template: text"}

    def test_what_ends_an_answer(self) -> None:
        model, processor = tiny_models.llava()
        before = of(model, processor)
        model.generation_config.eos_token_id = [1, 2]
        model.generation_config.repetition_penalty = 1.3
        assert changed((model, processor), before) == {
            "generation: eos_token_id",
            "generation: repetition_penalty",
            "special tokens: end_ids",
        }

    def test_a_word_and_an_added_token(self) -> None:
        model, processor = tiny_models.llava()
        before = of(model, processor)
        other = tiny_models.tokenizer(300)
        processor.tokenizer = other
        assert changed((model, processor), before) == {
            "tokenizer: vocabulary",
            "tokenizer: vocabulary_size",
        }
        model, processor = tiny_models.llava()
        processor.tokenizer.add_tokens(["snowman"])
        assert {"tokenizer: added_tokens", "tokenizer: added_tokens_count"} <= changed(
            (model, processor), before
        )

    def test_how_a_batch_was_cut_and_filled_up_changes_nothing(self) -> None:
        model, processor = tiny_models.llava()
        before = of(model, processor)
        processor.tokenizer(["a", "a long text"], padding=True, truncation=True, max_length=4)
        assert changed((model, processor), before) == set()


def test_saved_and_opened_it_is_the_same(tmp_path: Path) -> None:
    pair = tiny_models.llava()
    before = of(*pair)
    for part in pair:
        part.save_pretrained(tmp_path)
    with lvlm_audit.load(str(tmp_path)) as hooked:
        after = fed(hooked)
    assert str(tmp_path) not in json.dumps(after)
    assert after["processor"] == before["processor"]
    assert after["chat template"] == before["chat template"]
    assert after["tokenizer"]["vocabulary"] == before["tokenizer"]["vocabulary"]
    assert after["tokenizer"]["rules"] == before["tokenizer"]["rules"]


def test_weights_of_another_dtype_are_fed_the_same_pictures() -> None:
    import torch

    model, processor = tiny_models.llava()
    before = of(model, processor)
    assert changed((model.to(torch.bfloat16), processor), before) == set()


def test_a_language_model_has_no_processor() -> None:
    found = of(*tiny_models.text_only("llama"))
    assert found["processor"] == {}
    assert found["tokenizer"]["vocabulary_size"] > 0


@pytest.mark.parametrize(
    ("means", "order"),
    [
        ([[2, -1, -1], [-1, 2, -1], [-1, -1, 2]], "RGB"),
        ([[-1, -1, 2], [-1, 2, -1], [2, -1, -1]], "BGR"),
        # Gray pictures: no channel answers to one colour.
        ([[1, 1, 1], [2, 2, 2], [0, 0, 0]], None),
    ],
)
def test_channel_order(means: list[list[float]], order: str | None) -> None:
    assert channel_order(np.array(means, dtype=float)) == order


def test_the_machine_is_described_in_plain_values() -> None:
    import torch

    found = machine(torch.device("cpu"))
    assert found["threads"] == torch.get_num_threads()
    assert found["device"] == "cpu"
    assert found["torch"] == torch.__version__
    assert found["cpu"]
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("build", "blas"),
    [
        (
            "- Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build 1\n"
            "BLAS_INFO=mkl, BUILD",
            "mkl 2024.2",
        ),
        ("BLAS_INFO=open, BUILD_TYPE", "open"),
        ("nothing", "unknown"),
    ],
)
def test_the_library_of_products_is_read_off_the_build(build: str, blas: str) -> None:
    assert blas_of(build) == blas
