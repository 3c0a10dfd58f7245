"""Named files: which files a checkpoint's own text names, and that none of them lies elsewhere. No torch.

An index and a configuration are data that came with the weights, so what they name is not trusted: weights are
opened out of safetensors files inside the checkpoint's own folder alone.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from lvlm_audit.errors import ModelBroken, UnsupportedModel
from lvlm_audit.models.json_files import read_json

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
_NAMED_IN_CONFIG = "transformers_weights"
"""Key of config.json under which transformers 5 finds another file, or index, than the usual ones."""


def weight_files(name: str, folder: Path) -> list[Path]:
    """The files that transformers opens for the weights in a folder; none where it finds none.

    They need not be there: a shard may be missing, and a hub snapshot may still be fetched.

    Args:
        name: of the model, as the user gave it.
        folder: of the checkpoint.

    Raises:
        ModelBroken: an index that is none.
        UnsupportedModel: one that names a file outside the folder, or another format.
    """
    config = read_json(folder / "config.json") or {}
    stated = config.get(_NAMED_IN_CONFIG)
    if stated is not None:
        by = f"config.json ({_NAMED_IN_CONFIG})"
        first = _inside(name, folder, stated, by, (".safetensors", ".safetensors.index.json"))
    elif (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    else:
        first = folder / INDEX
        if not first.is_file():
            return []
    if first.suffix == ".safetensors":
        return [first]
    if not first.is_file():
        raise ModelBroken(f"{name!r} lacks {first.name!r}, which config.json names. Fetch it.")
    shards = (read_json(first) or {}).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise ModelBroken(
            f"{name!r}: {first.name} is not an index of shards. Save or fetch it again."
        )
    named = {str(shard): shard for shard in shards.values()}
    return [_inside(name, folder, named[s], first.name, (".safetensors",)) for s in sorted(named)]


def check_tokenizer_files(name: str, folder: Path) -> None:
    """Refuses a tokenizer that is said to lie somewhere else.

    transformers looks a tokenizer for its own version up in `fast_tokenizer_files`, and follows any path there.

    Raises:
        UnsupportedModel: a name that is none of a file beside it.
    """
    for path in (folder / "tokenizer_config.json", *sorted(folder.glob("*/tokenizer_config.json"))):
        stated = (read_json(path) or {}).get("fast_tokenizer_files")
        for one in stated if isinstance(stated, list) else ():
            if not isinstance(one, str) or one != os.path.basename(one) or "\\" in one:
                raise UnsupportedModel(
                    f"{name!r}: {path.relative_to(folder).as_posix()} (fast_tokenizer_files) names the file "
                    f"{str(one)[:120]!r}, which does not lie beside it. Remove the entry."
                )


def _inside(name: str, folder: Path, stated: Any, by: str, endings: tuple[str, ...]) -> Path:
    if not isinstance(stated, str) or not stated.endswith(endings):
        raise UnsupportedModel(
            f"{name!r}: {by} names the file {str(stated)[:120]!r}, which is not safetensors. Opening other "
            f"formats can run code that they contain. Convert it: model.save_pretrained(folder) writes "
            f"safetensors."
        )
    ways = PurePosixPath(stated), PureWindowsPath(stated)
    leads_out = any(way.anchor or ".." in way.parts for way in ways) or "\0" in stated
    if leads_out or not _belongs(folder / stated, folder):
        raise UnsupportedModel(
            f"{name!r}: {by} names the file {stated[:120]!r}, which lies outside of the checkpoint's folder. "
            f"Only what lies inside is opened: copy the file there, and name it in {by} by its plain name."
        )
    return folder / stated


def _belongs(path: Path, folder: Path) -> bool:
    """Links may lead about in the folder, and into the hub cache's blobs, where snapshots have theirs."""
    real = Path(os.path.realpath(path))
    if real.is_relative_to(os.path.realpath(folder)):
        return True
    return real.parent.name == "blobs" and (real.parent.parent / "snapshots").is_dir()
