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
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from lvlm_audit.errors import TraceError
from lvlm_audit.short_repr import ShortRepr
from lvlm_audit.traces.effects import EffectTrace
from lvlm_audit.traces.features import FeatureMap, FeatureTrace
from lvlm_audit.traces.image_words import ImageWords
from lvlm_audit.traces.redecoded import Redecoded
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

Item = Trace | PairedTrace | FeatureTrace | FeatureMap | EffectTrace | ImageWords | Redecoded
_ARRAY_FIELDS: dict[type[Item], tuple[str, ...]] = {
    Trace: array_fields(Trace),
    PairedTrace: array_fields(PairedTrace),
    FeatureTrace: ("token_ids", "features"),
    FeatureMap: ("pca", "tsne"),
    EffectTrace: ("token_ids", "kl", "divergence", "leaders", "log2_probability"),
    ImageWords: ("token_ids", "confidence", "position"),
    Redecoded: ("token_ids",),
}
_KINDS = {cls.__name__: cls for cls in _ARRAY_FIELDS}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Recording(ShortRepr):
    """Traces of one kind, and what is known about how they were made.

    Attributes:
        items: all of one type, in the order of their probes.
        facts: JSON-serialisable: model, versions, seconds, ...
    """

    items: Sequence[Item]
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
        for name in _ARRAY_FIELDS[type(item)]:
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


def _entry(item: Item) -> dict[str, Any]:
    """Everything but the arrays; JSON knows tuples as lists, and keys as text."""
    left_out = {"asked", *_ARRAY_FIELDS[type(item)]}
    entry = {f.name: getattr(item, f.name) for f in fields(item) if f.name not in left_out}
    asked = {f.name: getattr(item.asked, f.name) for f in fields(item.asked)}
    return {
        "kind": type(item).__name__,
        "asked": {**asked, "labels": dict(asked["labels"])},
        **entry,
    }


def _item(i: int, entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> Item:
    rest = {k: v for k, v in entry.items() if k not in ("kind", "asked")}
    cls = _KINDS[entry["kind"]]
    for name in ("token_texts", "labels", "blocks", "answer_ids"):
        if name in rest:
            rest[name] = tuple(rest[name])
    if "token_classes" in rest:
        rest["token_classes"] = tuple(TokenClass(c) for c in rest["token_classes"])
    if "vocabulary" in rest:
        rest["vocabulary"] = {int(k): v for k, v in rest["vocabulary"].items()}
    for name in _ARRAY_FIELDS[cls]:
        if f"{i}.{name}" in arrays:
            rest[name] = arrays[f"{i}.{name}"]
    return cls(asked=Asked(**entry["asked"]), **rest)
