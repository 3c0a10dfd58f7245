"""A small LLaVA checkpoint on disk, and ways to spoil a copy of it."""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests import tiny_models

BLOCKS = 3


@functools.cache
def whole() -> Path:
    """Made once a process; copies of it are what tests change."""
    folder = Path(tempfile.mkdtemp(prefix="lvlm-audit-test-"))
    return tiny_models.save(tiny_models.llava(blocks=BLOCKS, width=32), folder)


def copied(folder: Path) -> Path:
    return Path(shutil.copytree(whole(), folder / "checkpoint"))


def setting(folder: Path, path: str, value: Any, file: str = "config.json") -> Path:
    """Sets "text_config.hidden_size", say, in one of a checkpoint's JSON files."""
    config = json.loads((folder / file).read_text())
    *parts, last = path.split(".")
    place = config
    for part in parts:
        place = place[part]
    place[last] = value
    (folder / file).write_text(json.dumps(config))
    return folder


def with_tensors(folder: Path, *names: str) -> Path:
    """With tensors of these names among the weights."""
    return changed(
        folder, lambda weights: weights.update({name: torch.zeros(4, 4) for name in names})
    )


def changed(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
