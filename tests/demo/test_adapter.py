"""The committed adapter: small, plain safetensors, and one that fits its description."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from lvlm_audit.demo.architecture import PROJECTOR_PREFIX, TOWER_PREFIX, Adapter
from lvlm_audit.demo.assemble import ADAPTER_FOLDER
from lvlm_audit.demo.recipe import Recipe, TowerShape

DECODER_WIDTH = 576


def test_it_is_at_most_8_megabytes_of_bfloat16() -> None:
    path = ADAPTER_FOLDER / "adapter.safetensors"
    assert path.stat().st_size <= 8_000_000
    with safe_open(path, "pt") as stored:
        for name in stored.keys():  # noqa: SIM118 -- safetensors' handle is no mapping
            tensor = stored.get_tensor(name)
            assert name.startswith((TOWER_PREFIX, PROJECTOR_PREFIX))
            assert tensor.dtype == torch.bfloat16
            assert bool(torch.isfinite(tensor).all())


def test_its_tensors_are_those_of_its_recipe() -> None:
    config = json.loads((ADAPTER_FOLDER / "adapter.json").read_text())
    shape = TowerShape(**config["recipe"]["tower"])
    assert shape == Recipe().tower
    expected = {n: t.shape for n, t in Adapter(shape, DECODER_WIDTH).checkpoint().items()}
    with safe_open(ADAPTER_FOLDER / "adapter.safetensors", "pt") as stored:
        found = {name: torch.Size(stored.get_slice(name).get_shape()) for name in stored.keys()}  # noqa: SIM118
    assert found == expected


def test_nothing_here_is_a_pickle() -> None:
    suffixes = {path.suffix for path in ADAPTER_FOLDER.iterdir()}
    assert suffixes <= {".safetensors", ".json", ".md"}


@pytest.mark.parametrize("said", ["Apache-2.0", "dequantised 4-bit (Q4_1)", "held-out", "seed"])
def test_the_card_says_what_it_must(said: str) -> None:
    assert said in Path(ADAPTER_FOLDER / "MODEL_CARD.md").read_text()
