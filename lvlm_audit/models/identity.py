"""Identity: a content key of a checkpoint's files, so that no cache serves one model as another.

Names, paths and dates are not identity: a fine-tuned model is often saved over its base. Bytes are.
Digests of single files are remembered by size, modification time and inode, so that the second look
at a 14 GB checkpoint costs nothing. No torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path

from lvlm_audit.cache import cache_dir
from lvlm_audit.errors import ModelNotFound
from lvlm_audit.models.aliases import Checkpoint
from lvlm_audit.models.formats import read_json

# Everything that from_pretrained() may read. Python is in it for checkpoints with their own code.
_RELEVANT = frozenset(
    {".safetensors", ".json", ".jinja", ".model", ".txt", ".bin", ".py", ".tiktoken"}
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 22


def fingerprint(checkpoint: Checkpoint) -> str:
    """SHA-256 over the names and contents of a checkpoint's files, its adapter's included; hexadecimal.

    A hub checkpoint that is not in the local cache has no content yet: its name is the key, marked as
    such, and the key changes once it is downloaded.

    Raises:
        ModelNotFound: a file cannot be read.
    """
    folder, adapter = checkpoint.folder, checkpoint.adapter
    if folder is None:
        named = f"{checkpoint.hub_id}\0{checkpoint.revision or ''}\0{adapter or ''}"
        return "hub:" + hashlib.sha256(named.encode()).hexdigest()
    known = _Remembered(cache_dir() / "digests.json")
    total = hashlib.sha256()
    places = [("", folder), *([("adapter/", adapter)] if adapter is not None else [])]
    for part, place in places:
        for path in _files(place):
            try:
                digest = _digest(path, known)
            except OSError as error:
                raise ModelNotFound(
                    f"cannot read {str(path)!r} of model {checkpoint.name!r}: "
                    f"{error.strerror or error}."
                ) from error
            total.update(f"{part}{path.relative_to(place).as_posix()}\0{digest}\n".encode())
    known.write()
    return total.hexdigest()


def packages_of(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Packages beside torch and transformers that take part in what such a checkpoint computes."""
    config = read_json(checkpoint.folder / "config.json") if checkpoint.folder is not None else None
    quantised = (config or {}).get("quantization_config")
    method = quantised.get("quant_method") if isinstance(quantised, dict) else None
    found = ["peft"] if checkpoint.adapter is not None else []
    return (*found, method) if isinstance(method, str) else tuple(found)


def _files(folder: Path) -> list[Path]:
    # Nested folders hold other formats (onnx/, original/); code and templates may be one level down.
    found = [
        path
        for pattern in ("*", "additional_chat_templates/*")
        for path in folder.glob(pattern)
        if path.suffix in _RELEVANT and path.is_file()
    ]
    return sorted(found)


def _digest(path: Path, known: _Remembered) -> str:
    target = path.resolve()
    if target.parent.name == "blobs" and _SHA256.fullmatch(target.name):
        # The hub's cache names large files by their SHA-256 already.
        return target.name
    status = target.stat()
    key = f"{target}|{status.st_size}|{status.st_mtime_ns}|{status.st_ino}"
    digest = known.get(key)
    if digest is None:
        sha = hashlib.sha256()
        with target.open("rb") as file:
            while chunk := file.read(_CHUNK):
                sha.update(chunk)
        digest = sha.hexdigest()
        known.put(key, digest)
    return digest


class _Remembered:
    """Digests of files by what tells that a file is unchanged. Losing them only costs time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._new: dict[str, str] = {}
        self._digests = self._load()

    def get(self, key: str) -> str | None:
        return self._new.get(key) or self._digests.get(key)

    def put(self, key: str, digest: str) -> None:
        self._new[key] = digest

    def write(self) -> None:
        if not self._new:
            return
        # Another process may have added its own meanwhile; the last of a path wins.
        merged = {**self._load(), **self._new}
        fresh = {key.partition("|")[0]: key for key in merged}
        merged = {
            key: digest for key, digest in merged.items() if fresh[key.partition("|")[0]] == key
        }
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self._path.parent, suffix=".tmp")
            with os.fdopen(handle, "w") as file:
                json.dump(merged, file)
            os.replace(temporary, self._path)
        except OSError:
            # A read-only cache is no reason not to audit.
            return

    def _load(self) -> dict[str, str]:
        try:
            loaded = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        if not isinstance(loaded, dict):
            return {}
        return {str(k): v for k, v in loaded.items() if isinstance(v, str) and _SHA256.fullmatch(v)}
