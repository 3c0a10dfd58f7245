"""Writing small probe files as the benchmarks' repositories have them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.readers import read_probes

COLORS = ("red", "green", "blue", "white", "black", "yellow")


def pictures(folder: Path, *names: str) -> Path:
    """Small images of different colours under these names."""
    for name, color in zip(names, COLORS, strict=False):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), color).save(path)
    return folder


def as_lines(path: Path, rows: Sequence[Any]) -> Path:
    """One JSON value a line."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def as_json(path: Path, value: Any, indent: int | None = None) -> Path:
    """One JSON value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=indent))
    return path


def refusal(path: Path, **options: Any) -> str:
    """The message with which reading is refused: one printable line, of a length that can be read."""
    with pytest.raises(ProbeError) as caught:
        read_probes(path, **options)
    message = str(caught.value)
    assert message.isprintable(), message
    assert len(message) < 900, message
    return message
