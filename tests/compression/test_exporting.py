"""Exported checkpoints: opened by transformers alone, and held against the skipped model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText

from lvlm_audit.compression.exporting import export, fresh_probes
from lvlm_audit.errors import UnsupportedModel, UsageError
from lvlm_audit.interventions.skipping import skipped
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.opening import hook, load
from lvlm_audit.probes.probe import Probe
from tests import tiny_models
from tests.compression.test_removal import FAMILIES
from tests.families import feed
from tests.families.zoo import drawn

WITHOUT_VIDEO = {"qwen2.5-vl", "internvl"}
"""Their processors cannot be saved here: transformers wants torchvision for the videos they take."""


def reopened(folder: Path, whole: HookedModel) -> HookedModel:
    """By transformers itself, with the processor in memory."""
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype="auto")
    return hook(model, whole.processor)


def logits_of(model, inputs) -> torch.Tensor:
    with torch.inference_mode():
        return model(**inputs, use_cache=False).logits


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"aya-vision"}))
def test_what_is_written_is_what_was_skipped(family, tmp_path, monkeypatch):
    hooked = hook(*FAMILIES[family]())
    if family in WITHOUT_VIDEO:
        monkeypatch.setattr(type(hooked.processor), "save_pretrained", lambda *_: None)
    blocks = (1, 4, hooked.blocks - 2)
    found = export(
        hooked, blocks, tmp_path / "pruned",
        reopen=reopened if family in WITHOUT_VIDEO else None,
    )  # fmt: skip
    assert found.difference <= 2e-5 * found.largest_logit
    assert found.steps >= 3
    # Without anything of ours: from_pretrained, and a probe that the proof did not ask.
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "pruned", dtype="auto").eval()
    config = json.loads((tmp_path / "pruned" / "config.json").read_text())["text_config"]
    assert config["num_hidden_layers"] == hooked.blocks - 3
    assert len(config.get("layer_types") or [0] * (hooked.blocks - 3)) == hooked.blocks - 3
    inputs = hooked.inputs(tiny_models.probes(1))
    with skipped(hooked, blocks):
        wanted = logits_of(hooked.model, inputs)
    torch.testing.assert_close(logits_of(model, inputs), wanted, rtol=1e-4, atol=1e-4)
    assert [p.name for p in tmp_path.iterdir()] == ["pruned"]
    assert hooked.model.config.get_text_config().num_hidden_layers == hooked.blocks


def test_sixteen_bits_shards_and_a_tied_head(tmp_path):
    # Opened from disk, as a parent is: `.to(bfloat16)` would round the rotary frequencies too.
    pair = tiny_models.llava(tied=True, blocks=9, dtype=torch.bfloat16)
    hooked = load(str(tiny_models.save(pair, tmp_path / "parent")))
    found = export(hooked, (3, 4), tmp_path / "pruned", max_shard_size="60KB")
    assert len(list((tmp_path / "pruned").glob("*.safetensors"))) > 1
    assert found.bytes == sum(p.stat().st_size for p in (tmp_path / "pruned").glob("*.safetensors"))
    with load(str(tmp_path / "pruned")) as again:
        assert again.dtype == torch.bfloat16
        assert again.blocks == 7
        assert again.anatomy.tied
        inputs = hooked.inputs(tiny_models.probes(1))
        with skipped(hooked, (3, 4)):
            wanted = logits_of(hooked.model, inputs)
        assert torch.equal(logits_of(again.model, inputs), wanted)


def test_a_family_whose_blocks_hang_on_their_number_is_refused(tmp_path):
    """Weights that a reload does not bring back in place: the proof sees it, and nothing stays behind."""
    hooked = hook(*tiny_models.llava(blocks=9))

    def another(folder, whole):
        model = AutoModelForImageTextToText.from_pretrained(folder)
        layers = model.model.language_model.layers
        # As if the fourth block had been given the third one's role.
        layers[3], layers[2] = layers[2], layers[3]
        for i, block in enumerate(layers):
            block.self_attn.layer_idx = i
        return hook(model, whole.processor)

    with pytest.raises(UnsupportedModel, match="logits differ from the skipped model's by"):
        export(hooked, (1,), tmp_path / "pruned", reopen=another)
    assert list(tmp_path.iterdir()) == []


def test_image_features_that_are_added_after_the_first_blocks(tmp_path):
    """Qwen3-VL adds features after its first blocks by number: those stay, or the export is refused."""
    model = drawn("qwen3_vl")
    inputs = feed.inputs("qwen3_vl", model)
    asked = [Probe.prepared(inputs)]
    hooked = hook(model, sample=asked[0])
    assert hooked.anatomy.joined

    def again(folder, _):
        opened = AutoModelForImageTextToText.from_pretrained(folder).eval()
        return hook(opened, sample=asked[0])

    export(hooked, (hooked.blocks - 1,), tmp_path / "good", reopen=again, probes=asked)
    with pytest.raises(UnsupportedModel, match="logits differ from the skipped model's by"):
        export(hooked, (0,), tmp_path / "bad", reopen=again, probes=asked)
    assert [p.name for p in tmp_path.iterdir()] == ["good"]


def test_nothing_is_overwritten(tmp_path):
    hooked = hook(*tiny_models.llava(blocks=9))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not an empty folder"):
        export(hooked, (1,), tmp_path / "taken")
    assert (tmp_path / "taken" / "mine.txt").read_text() == "mine"
    (tmp_path / "file").write_text("mine")
    for name, said in (("file", "not an empty folder"), ("no/such", "Create it first")):
        with pytest.raises(UsageError, match=said):
            export(hooked, (1,), tmp_path / name)
    (tmp_path / "empty").mkdir()
    export(hooked, (1,), tmp_path / "empty")
    assert (tmp_path / "empty" / "config.json").is_file()


def test_fresh_questions_show_pictures_that_nobody_has_seen():
    digests = {p.images[0].digest() for p in fresh_probes()}
    assert len(digests) == 3
    assert [p.images[0].digest() for p in fresh_probes()] == [
        p.images[0].digest() for p in fresh_probes()
    ]
