"""The store on disk: recordings keyed by everything that could change them. No torch, no pickle.

A recording is a folder with `arrays.safetensors` and `recording.json`; it appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from lvlm_audit.errors import TraceError
from lvlm_audit.traces.trace import (
    SCHEMA_VERSION,
    Asked,
    PairedTrace,
    TokenClass,
    Trace,
    array_fields,
)

_ARRAYS = "arrays.safetensors"
_RECORD = "recording.json"
_KINDS: dict[str, type[Trace] | type[PairedTrace]] = {"Trace": Trace, "PairedTrace": PairedTrace}


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """Traces of one kind, and what is known about how they were made.

    Attributes:
        items: traces or paired traces, in the order of their probes.
        facts: JSON-serialisable: model, versions, seconds, ...
    """

    items: Sequence[Trace | PairedTrace]
    facts: Mapping[str, Any]


def key(parts: Mapping[str, Any]) -> str:
    """Content key: SHA-256 over a JSON object of everything that determines the recording."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def save(folder: Path, recording: Recording) -> None:
    """Write a recording; the folder appears whole or not at all, an older one is replaced.

    Raises:
        TraceError: the folder cannot be written.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    entries = []
    for i, item in enumerate(recording.items):
        for name in array_fields(type(item)):
            value = getattr(item, name)
            if value is not None:
                arrays[f"{i}.{name}"] = np.ascontiguousarray(value)
        entries.append(_entry(item))
    document = {
        "schema_version": SCHEMA_VERSION,
        "facts": dict(recording.facts),
        "items": entries,
    }
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:16]}."))
    except OSError as error:
        raise TraceError(
            f"cannot store traces in {str(folder.parent)!r}: {error.strerror}. "
            f"Set LVLM_AUDIT_CACHE to a writable folder."
        ) from error
    try:
        save_file(arrays, temporary / _ARRAYS)
        (temporary / _RECORD).write_text(json.dumps(document, ensure_ascii=False), "utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
    except (OSError, SafetensorError) as error:
        raise TraceError(f"cannot store traces in {str(folder)!r}: {error}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def exists(folder: Path) -> bool:
    """Whether a recording is stored there."""
    return (folder / _RECORD).is_file()


def load(folder: Path) -> Recording:
    """Read a recording.

    Raises:
        TraceError: it is damaged, or was written by a newer version; the message says what to do.
    """
    remedy = f"Delete {str(folder)!r} and run again; it will be recorded anew."
    try:
        document = json.loads((folder / _RECORD).read_text("utf-8"))
        version = document["schema_version"]
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise TraceError(
                f"stored traces in {str(folder)!r} have schema version {version!r}, this lvlm_audit reads "
                f"{SCHEMA_VERSION}: a newer one wrote them. Upgrade lvlm_audit, or point "
                f"LVLM_AUDIT_CACHE at another folder; nothing was changed."
            )
        if version != SCHEMA_VERSION:
            raise TraceError(
                f"stored traces have schema version {version!r}, this lvlm_audit reads "
                f"{SCHEMA_VERSION}. {remedy}"
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(error, remedy) from error
    try:
        arrays = load_file(folder / _ARRAYS)
        entries = list(document["items"])
        # An entry that was lost would silently shrink the evidence.
        if {int(name.split(".")[0]) for name in arrays} != set(range(len(entries))):
            raise ValueError(f"{_ARRAYS} does not hold arrays of {len(entries)} items")
        items = [_item(i, entry, arrays) for i, entry in enumerate(entries)]
        return Recording(items, document["facts"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError, TraceError) as error:
        raise _damaged(error, remedy) from error


def _damaged(error: Exception, remedy: str) -> TraceError:
    return TraceError(f"stored traces are damaged ({type(error).__name__}: {error}). {remedy}")


def _entry(item: Trace | PairedTrace) -> dict[str, Any]:
    asked = item.asked
    entry: dict[str, Any] = {
        "kind": type(item).__name__,
        "asked": {
            "id": asked.id,
            "prompt": asked.prompt,
            "cluster": asked.cluster,
            "reference": asked.reference,
            "labels": dict(asked.labels),
            "prompt_tokens": asked.prompt_tokens,
            "image_tokens": asked.image_tokens,
        },
        "lens": item.lens,
        "token_texts": list(item.token_texts),
        "token_classes": [str(c) for c in item.token_classes],
    }
    if isinstance(item, Trace):
        entry["answer"] = item.answer
        entry["given"] = item.given
        entry["vocabulary"] = {str(k): v for k, v in item.vocabulary.items()}
    else:
        entry["condition"] = item.condition
        entry["text"] = item.text
    return entry


def _item(
    i: int, entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]
) -> Trace | PairedTrace:
    rest = {k: v for k, v in entry.items() if k not in ("kind", "asked")}
    cls = _KINDS[entry["kind"]]
    rest["token_texts"] = tuple(entry["token_texts"])
    rest["token_classes"] = tuple(TokenClass(c) for c in entry["token_classes"])
    if "vocabulary" in rest:
        rest["vocabulary"] = {int(k): v for k, v in rest["vocabulary"].items()}
    for name in array_fields(cls):
        if f"{i}.{name}" in arrays:
            rest[name] = arrays[f"{i}.{name}"]
    return cls(asked=Asked(**entry["asked"]), **rest)
