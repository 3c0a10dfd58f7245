"""Which format a probe file has, by its content."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.drafts import Draft
from lvlm_audit.probes.formats import amber, chair, hallusion, jsonl, pope
from lvlm_audit.probes.json_text import EXAMPLE, first_object
from lvlm_audit.probes.quoting import short
from lvlm_audit.probes.source import Source
from lvlm_audit.settings.spelling import spelled

FileFormat = Literal["pope", "amber", "chair", "hallusion", "jsonl"]

READERS: Mapping[FileFormat, Callable[[Source], Iterator[Draft]]] = {
    "pope": pope.drafts,
    "amber": amber.drafts,
    "chair": chair.drafts,
    "hallusion": hallusion.drafts,
    "jsonl": jsonl.drafts,
}

# What a file's first object must hold to be of a format.
_MARKS: Mapping[FileFormat, frozenset[str]] = {
    "pope": pope.KEYS,
    "amber": amber.KEYS,
    "chair": chair.KEYS,
    "hallusion": hallusion.KEYS,
    "jsonl": frozenset({"image", "prompt"}),
}


def detect(source: Source) -> FileFormat:
    """The format whose keys a file's first object has; our own of a .jsonl file that has no other's.

    Raises:
        ProbeError: several, or none.
    """
    first = first_object(source)
    found: list[FileFormat] = [
        name for name, marks in _MARKS.items() if first is not None and marks <= first.keys()
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise ProbeError(
            f"{source.where} may be {' or '.join(found)}: its first record has the keys of each "
            f"({_keys(first)}). Say which with {spelled('probe_format')}, or read_probes(..., format=...)."
        )
    if source.path.suffix.lower() == ".jsonl":
        # Its reader says what is wrong with it.
        return "jsonl"
    has = "" if first is None else f" Its first record has the keys {_keys(first)}."
    raise ProbeError(
        f"cannot read probes from {source.where}: it is neither a folder of images nor a probe file "
        f"(.jsonl, or the JSON of POPE, AMBER, CHAIR or HallusionBench).{has} For one image, name its "
        f"folder; for a list, write one JSON object a line, such as {EXAMPLE}, into a file that "
        f"ends in .jsonl."
    )


def _keys(first: Mapping[str, Any] | None) -> str:
    return ", ".join(short(key) for key in list(first or {})[:8]) or "none"
