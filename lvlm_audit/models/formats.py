"""Formats: what a folder's weights are stored as, and what to do about those that are not read. No torch."""

from __future__ import annotations

from pathlib import Path

from lvlm_audit.errors import ModelNotFound, UnsupportedModel
from lvlm_audit.models.aliases import Checkpoint


def check_format(checkpoint: Checkpoint, folder: Path) -> None:
    if any(folder.glob("*.safetensors")):
        return
    pickled = sorted(path.name for path in folder.glob("*.bin")) + sorted(
        path.name for path in folder.glob("*.pt*")
    )
    if pickled:
        raise UnsupportedModel(
            f"{checkpoint.name!r} holds pickled weights only ({', '.join(pickled[:3])}); opening them "
            f"would run code that they contain. Convert them: model.save_pretrained(folder) writes "
            f"safetensors."
        )
    if checkpoint.kind == "folder":
        raise ModelNotFound(
            f"folder {checkpoint.name!r} has a config.json but no *.safetensors weights. Give the "
            f"folder that save_pretrained() wrote."
        )
