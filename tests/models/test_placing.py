"""Models that are spread over devices: what lies on disk is read as if it lay in memory."""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lvlm_audit import record
from lvlm_audit.errors import UsageError
from lvlm_audit.models.opening import load
from lvlm_audit.models.placing import device_map
from tests import tiny_models

pytest.importorskip("accelerate", reason="accelerate is not installed: nothing can be spread")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def attached(model: nn.Module) -> dict[str, Any]:
    """accelerate's hooks: they bring weights where they are wanted."""
    return {n: m._hf_hook for n, m in model.named_modules() if hasattr(m, "_hf_hook")}


@pytest.mark.parametrize("family", ["llava", "gemma3", "idefics3", "paligemma"])
@pytest.mark.parametrize("room", ["400KiB", "1KiB"])
def test_blocks_on_disk_are_read_as_blocks_in_memory(
    family: str, room: str, tmp_path: Path, scratch: Path
) -> None:
    folder = tiny_models.save(tiny_models.FAMILIES[family](), tmp_path / "model")
    probes = tiny_models.probes(2)
    with load(folder) as hooked:
        expected = record(hooked, probes, max_new_tokens=3)
    with load(folder, device="map", max_memory={"cpu": room}) as hooked:
        away = {name for name, p in hooked.model.named_parameters() if p.is_meta}
        before = attached(hooked.model)
        assert away
        assert all(".layers." in name or ".blocks." in name for name in away)
        assert before
        assert not hooked.anatomy.weight.is_meta
        traces = record(hooked, probes, max_new_tokens=3)
        assert attached(hooked.model) == before, "our hooks go, accelerate's stay"
    for trace, other in zip(traces, expected, strict=True):
        assert trace.token_ids.tolist() == other.token_ids.tolist()
        np.testing.assert_array_equal(trace.probability, other.probability)
        np.testing.assert_array_equal(trace.divergence, other.divergence)
    del hooked
    gc.collect()
    assert not list(scratch.iterdir()), "what was moved to disk goes with the model"


def test_a_model_that_fits_is_not_taken_apart(tmp_path: Path, scratch: Path) -> None:
    folder = tiny_models.save(tiny_models.llava(blocks=3, width=32), tmp_path / "model")
    with load(folder, device="map") as hooked:
        assert not any(p.is_meta for p in hooked.model.parameters())
        assert hooked.proofs


def test_an_adapter_goes_over_a_spread_base(tmp_path: Path, scratch: Path) -> None:
    peft = pytest.importorskip("peft")
    from transformers import LlavaForConditionalGeneration

    base = tiny_models.save(tiny_models.llava(blocks=4, width=32), tmp_path / "model")
    kind = peft.LoraConfig(
        r=4, target_modules=["q_proj", "up_proj", "lm_head"], init_lora_weights=False
    )
    over = peft.get_peft_model(LlavaForConditionalGeneration.from_pretrained(base), kind)
    over.save_pretrained(tmp_path / "adapter")
    ids = torch.tensor([[5, 40, 77]])
    with torch.inference_mode(), load(base, adapter=tmp_path / "adapter") as hooked:
        expected = hooked.model(input_ids=ids).logits
    with torch.inference_mode(), load(
        base, adapter=tmp_path / "adapter", device="map", max_memory={"cpu": "1KiB"}
    ) as hooked:  # fmt: skip
        torch.testing.assert_close(hooked.model(input_ids=ids).logits, expected)


def skeleton() -> Any:
    with torch.device("meta"):
        return tiny_models.llava(blocks=6, width=32)[0].__class__(
            tiny_models.llava(blocks=6, width=32)[0].config
        )


def test_every_tensor_has_one_place_and_blocks_are_whole() -> None:
    model = skeleton()
    places = device_map(model, torch.float32, {0: "150KiB", 1: "60KiB", "cpu": "60KiB"})
    for name, _ in (*model.named_parameters(), *model.named_buffers()):
        over = [place for place in places if name == place or name.startswith(f"{place}.")]
        assert len(over) == 1, (name, over)
    order = {0: 0, 1: 1, "cpu": 2, "disk": 3}
    dealt = [order[place] for name, place in places.items() if "layers." in name]
    assert dealt == sorted(dealt)
    assert set(dealt) > {3}
    assert {place for name, place in places.items() if "layers." not in name} == {0}


def test_room_is_kept_to(tmp_path: Path) -> None:
    model = skeleton()
    block = sum(4 * p.numel() for p in model.model.language_model.layers[0].parameters())
    tower = sum(4 * p.numel() for p in model.model.vision_tower.encoder.layers.parameters())
    rest = sum(4 * p.numel() for n, p in model.named_parameters() if "layers." not in n)
    places = device_map(model, torch.float32, {"cpu": rest + tower + 2 * block + block // 2 + 4096})
    decoder = [p for n, p in places.items() if n.startswith("model.language_model.layers.")]
    assert decoder == ["cpu", "cpu", "disk", "disk", "disk", "disk"]


def test_bounds_without_a_map_are_refused(tmp_path: Path) -> None:
    folder = tiny_models.save(tiny_models.llava(blocks=3, width=32), tmp_path)
    with pytest.raises(UsageError, match='needs device="map"'):
        load(folder, max_memory={"cpu": "1GiB"})


def test_without_accelerate_the_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    folder = tiny_models.save(tiny_models.llava(blocks=3, width=32), tmp_path)
    monkeypatch.setitem(sys.modules, "accelerate.utils", None)
    with pytest.raises(UsageError, match=r"lvlm-audit\[map\]"):
        load(folder, device="map")
