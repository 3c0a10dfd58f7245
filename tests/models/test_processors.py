"""Processors that could take videos too, without torchvision: the image part is what it always was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lvlm_audit import record
from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.models.doctor import diagnose
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.opening import load
from lvlm_audit.models.processors import without_video
from tests import tiny_models


def torchvision() -> bool:
    from transformers.utils.import_utils import is_torchvision_available

    return bool(is_torchvision_available())


CASES = {
    "qwen2.5-vl": (tiny_models.qwen2_5_vl, "Qwen2_5_VLProcessor", "Qwen2VLImageProcessor"),
    "qwen2.5-vl, older": (tiny_models.qwen2_5_vl, "Qwen2_5_VLProcessor", "Qwen2VLImageProcessorFast"),
    "internvl": (tiny_models.internvl, "InternVLProcessor", "GotOcr2ImageProcessorFast"),
}  # fmt: skip


def save(name: str, folder: Path, *, files: str) -> HookedModel:
    """A checkpoint with the files that hubs hold, those of today or those of older releases."""
    make, kind, images = CASES[name]
    model, processor = make()
    model.save_pretrained(folder)
    processor.tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(processor.chat_template)
    shape = {**processor.image_processor.to_dict(), "image_processor_type": images}
    video = {"video_processor_type": "Qwen2VLVideoProcessor"}
    more: dict[str, Any] = {"image_seq_length": 4} if name == "internvl" else {}

    def write(file: str, content: dict[str, Any]) -> None:
        (folder / file).write_text(json.dumps({**content, "processor_class": kind}))

    if files == "today's":
        write("processor_config.json", {"image_processor": shape, "video_processor": video, **more})
    else:
        write("preprocessor_config.json", shape)
        write("video_preprocessor_config.json", video)
        if more:
            write("processor_config.json", more)
    return HookedModel(model, processor)


@pytest.mark.skipif(torchvision(), reason="with torchvision transformers opens them itself")
@pytest.mark.parametrize("files", ["today's", "older"])
@pytest.mark.parametrize("name", CASES)
def test_a_processor_is_opened_without_its_video_part(
    name: str, files: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = save(name, tmp_path, files=files)
    capfd.readouterr()
    with load(tmp_path) as hooked:
        assert capfd.readouterr() == ("", "")
        assert type(hooked.processor).__name__ == CASES[name][1]
        assert hooked.processor.video_processor is None
        assert [proof.asked for proof in hooked.proofs] == ["image and text", "text"]
        said = dict(diagnose(hooked))["processor"]
        assert "without its video part (torchvision is not installed)" in said
        probes = tiny_models.probes(1)
        ours, theirs = hooked.inputs(probes), expected.inputs(probes)
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            assert torch.equal(ours[key], value), key
        assert record(hooked, probes, max_new_tokens=2)[0].tokens == 2
        # A checkpoint that is written with it opens as this one did.
        hooked.model.save_pretrained(tmp_path / "again")
        hooked.processor.save_pretrained(tmp_path / "again")
        assert hooked.processor.get_attributes() == type(hooked.processor).get_attributes()
    with load(str(tmp_path / "again")) as again:
        for key, value in again.inputs(probes).items():
            assert torch.equal(ours[key], value), key


def test_no_class_of_transformers_is_changed() -> None:
    from transformers import Qwen2VLProcessor

    before = dict(vars(Qwen2VLProcessor))
    made = without_video(Qwen2VLProcessor)
    assert issubclass(made, Qwen2VLProcessor)
    assert made is not Qwen2VLProcessor
    assert dict(vars(Qwen2VLProcessor)) == before
    assert made.get_attributes() == Qwen2VLProcessor.get_attributes()


def test_the_other_parts_are_still_checked() -> None:
    from transformers import Qwen2VLImageProcessorPil, Qwen2VLProcessor

    with pytest.raises((TypeError, AttributeError)):
        without_video(Qwen2VLProcessor)(Qwen2VLImageProcessorPil(), "no tokenizer", None)


@pytest.mark.skipif(torchvision(), reason="with torchvision transformers opens them itself")
def test_a_processor_that_needs_its_video_part_says_so(tmp_path: Path) -> None:
    save("qwen2.5-vl", tmp_path, files="today's")
    path = tmp_path / "processor_config.json"
    config = json.loads(path.read_text())
    # It reads its video processor's settings when it is made.
    path.write_text(json.dumps({**config, "processor_class": "MiniCPMV4_6Processor"}))
    with pytest.raises(UnsupportedModel, match="needs torchvision for it: install it"):
        load(tmp_path)
