"""The store on disk: recordings keyed by everything that could change them. No torch, no pickle.

A recording is a folder with `arrays.safetensors` and `recording.json`; it appears whole or not at all.
`SHA256SUMS` beside them, in the form that `sha256sum -c` reads, tells a recording that was damaged later.
"""

from __future__ import annotations

import errno
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
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save_file

from lvlm_audit.errors import DamagedRecording, TraceError
from lvlm_audit.short_repr import ShortRepr
from lvlm_audit.traces import (  # noqa: F401
    effects,
    features,
    image_words,
    items,
    redecoded,
    rounding,
)
from lvlm_audit.traces.items import Item
from lvlm_audit.traces.trace import SCHEMA_VERSION

_ARRAYS = "arrays.safetensors"
_RECORD = "recording.json"
_SUMS = "SHA256SUMS"


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

    Where another process writes the same recording at once, one of the two stays.

    Raises:
        TraceError: the folder cannot be written.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    entries = []
    for i, item in enumerate(recording.items):
        arrays |= {f"{i}.{name}": value for name, value in items.arrays(item)}
        entries.append(items.entry(item))
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
        seal(temporary)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            os.replace(temporary, folder)
        except OSError as error:
            taken = error.errno in (errno.ENOTEMPTY, errno.EEXIST)
            if not (taken and exists(folder)):
                raise
    except (OSError, SafetensorError) as error:
        raise TraceError(
            f"cannot store traces in {str(folder)!r}: {error}. Free some space, or set LVLM_AUDIT_CACHE to "
            f"another folder."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def seal(folder: Path) -> None:
    """Write the checksums of a recording's files as they are now.

    Raises:
        OSError: a file cannot be read, or the checksums not be written.
    """
    arrays, record = ((folder / name).read_bytes() for name in (_ARRAYS, _RECORD))
    (folder / _SUMS).write_bytes(_sums(arrays, record))


def exists(folder: Path) -> bool:
    """Whether a recording is stored there."""
    return os.path.isfile(folder / _RECORD)


def load(folder: Path) -> Recording:
    """Read a recording.

    Raises:
        DamagedRecording: it is not what was written, is sealed by no checksums, or is of an older schema.
        TraceError: it was written by a newer version, or may not be read.
    """
    remedy = f"Delete {str(folder)!r} and run again; it will be recorded anew."
    try:
        # Read once: what is checked is what is used.
        record = (folder / _RECORD).read_bytes()
        document = json.loads(record)
        version = document["schema_version"]
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise _Newer(
                f"stored traces in {str(folder)!r} have schema version {version!r}, this lvlm_audit reads "
                f"{SCHEMA_VERSION}: a newer one wrote them. Upgrade lvlm_audit, or point "
                f"LVLM_AUDIT_CACHE at another folder; nothing was changed."
            )
        if version != SCHEMA_VERSION:
            raise DamagedRecording(
                f"stored traces have schema version {version!r}, this lvlm_audit reads "
                f"{SCHEMA_VERSION}. {remedy}"
            )
        arrays = _sealed(folder, record)
        entries = list(document["items"])
        # An entry that was lost would silently shrink the evidence.
        if {int(name.split(".")[0]) for name in arrays} != set(range(len(entries))):
            raise ValueError(f"{_ARRAYS} does not hold arrays of {len(entries)} items")
        read = _read(entries, arrays)
        facts = document["facts"]
        if not isinstance(facts, dict):
            raise TypeError(f"facts are a {type(facts).__name__}")
        return Recording(read, facts)
    except PermissionError as error:
        raise TraceError(
            f"stored traces in {str(folder)!r} may not be read: {error.strerror}. Allow it, or set "
            f"LVLM_AUDIT_CACHE to another folder."
        ) from error
    except (DamagedRecording, _Newer, MemoryError):
        raise
    except OSError as error:
        what = f"{Path(error.filename).name}: {error.strerror}" if error.filename else str(error)
        raise DamagedRecording(f"stored traces are damaged ({what}). {remedy}") from error
    except Exception as error:
        raise DamagedRecording(
            f"stored traces are damaged ({type(error).__name__}: {error}). {remedy}"
        ) from error


class _Newer(TraceError):
    """Written by a newer version, and no damage."""


def _read(
    entries: Sequence[Mapping[str, Any]], arrays: Mapping[str, np.ndarray[Any, Any]]
) -> list[Item]:
    own: list[dict[str, np.ndarray[Any, Any]]] = [{} for _ in entries]
    for key, value in arrays.items():
        number, _, name = key.partition(".")
        own[int(number)][name] = value
    return [items.item_of(entry, of) for entry, of in zip(entries, own, strict=True)]


def _sums(arrays: bytes, record: bytes) -> bytes:
    lines = ((arrays, _ARRAYS), (record, _RECORD))
    return "".join(f"{hashlib.sha256(d).hexdigest()}  {n}\n" for d, n in lines).encode()


def _sealed(folder: Path, record: bytes) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays, once both files are known to be what was written."""
    if not os.path.isfile(folder / _SUMS):
        raise ValueError(
            f"there is no {_SUMS}: an earlier lvlm_audit wrote them, without checksums"
        )
    content = (folder / _ARRAYS).read_bytes()
    sums, wanted = (folder / _SUMS).read_bytes(), _sums(content, record)
    if sums != wanted:
        lines = zip((_ARRAYS, _RECORD), sums.splitlines(), wanted.splitlines(), strict=False)
        differ = [name for name, one, other in lines if one != other]
        raise ValueError(f"{' and '.join(differ) or _SUMS} does not match its checksum")
    return load_arrays(content)
