"""Which format a probe file has, by its content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.formats import questions
from lvlm_audit.probes.formats.registry import FORMATS
from lvlm_audit.probes.formats.unreadable import what_it_is
from lvlm_audit.probes.json_text import EXAMPLE, first_object
from lvlm_audit.probes.quoting import short
from lvlm_audit.probes.source import Source
from lvlm_audit.settings.spelling import spelled


def detect(source: Source) -> str:
    """The format whose keys a file's first object has; our own of a .jsonl file that has no other's.

    Raises:
        ProbeError: several, or none.
    """
    first = first_object(source)
    told = [f for f in FORMATS if first is not None and f.keys and f.keys <= first.keys()]
    # A format that asks for all of another's keys and more knows its files better.
    found = [f for f in told if not any(f.keys < other.keys for other in told)]
    if len(found) == 1:
        return found[0].name
    if found:
        raise ProbeError(
            f"{source.where} may be {' or '.join(f.name for f in found)}: its first record has the keys of "
            f"each ({_keys(first)}). Say which with {spelled('probe_format')}, or "
            f"read_probes(..., format=...)."
        )
    known = what_it_is(source, first)
    if known is not None:
        raise ProbeError(f"cannot read probes from {source.where}: it is {known}")
    if first is not None and questions.recognised(first):
        return "questions"
    if source.path.suffix.lower() == ".jsonl":
        # Its reader says what is wrong with it.
        return "jsonl"
    has = "" if first is None else f" Its first record has the keys {_keys(first)}."
    raise ProbeError(
        f"cannot read probes from {source.where}: it is neither a folder of images nor a probe file "
        f"(.jsonl, chat messages, or the JSON of a benchmark; docs/probes.md has all formats).{has} For one "
        f"image, name its folder; for a list, write one JSON object a line, such as {EXAMPLE}, into a file "
        f"that ends in .jsonl."
    )


def _keys(first: Mapping[str, Any] | None) -> str:
    return ", ".join(short(key) for key in list(first or {})[:8]) or "none"
