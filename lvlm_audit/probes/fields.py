"""Fields of a record, each checked for what it has to be; a message names place, field and value."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.probe import ImageSource
from lvlm_audit.probes.quoting import described, invisible, short
from lvlm_audit.probes.source import Source

Record = Mapping[str, Any]


def text(where: str, record: Record, key: str, *, optional: bool = True) -> str | None:
    """The text under `key`; None if the key is absent, or null where it may be.

    Raises:
        ProbeError: it is no text, or blank.
    """
    value = record.get(key)
    if value is None and (optional or key not in record):
        return None
    remedy = "Leave the key out." if optional else "Fill it in, or drop the line."
    if not isinstance(value, str):
        if type(value) in (int, float):
            remedy = f'Write it as "{value}".'
        raise ProbeError(f"{where}: {key!r} must be text, not {described(value)}. {remedy}")
    if not value.strip():
        raise ProbeError(f"{where}: {key!r} is blank ({short(value)}). {remedy}")
    return value


def needed(where: str, record: Record, key: str, example: str) -> Any:
    """The value under a key that must be there.

    Raises:
        ProbeError: it is not, and a record looks like the example.
    """
    if key not in record:
        raise ProbeError(f"{where}: the key {key!r} is missing. A record is {example}.")
    return record[key]


def needed_text(where: str, record: Record, key: str, example: str) -> str:
    """Text under a key that must be there.

    Raises:
        ProbeError: it is not there, no text, or blank.
    """
    needed(where, record, key, example)
    return text(where, record, key, optional=False) or ""


def choice(where: str, record: Record, key: str, options: Sequence[str], example: str) -> str:
    """One of a few words under a key that must be there.

    Raises:
        ProbeError: it is not there, or is another.
    """
    value = needed(where, record, key, example)
    if not isinstance(value, str) or value not in options:
        known = " or ".join(f'"{option}"' for option in options)
        raise ProbeError(f"{where}: {key!r} must be {known}, not {described(value)}. Mend it.")
    return value


def number_or_name(where: str, record: Record, key: str, example: str) -> str:
    """A whole number, or text on one line, under a key that must be there; as text.

    Raises:
        ProbeError: it is not there, or is something else.
    """
    value = needed(where, record, key, example)
    if type(value) is int:
        return str(value)
    if not isinstance(value, str):
        raise ProbeError(
            f"{where}: {key!r} must be a whole number or text, not {described(value)}. Mend it."
        )
    return name(where, record, key, optional=False) or ""


def words(where: str, record: Record, key: str, example: str) -> list[str]:
    """A list of words under a key that must be there.

    Raises:
        ProbeError: it is not there, no list, or holds something else.
    """
    value = needed(where, record, key, example)
    if not isinstance(value, list):
        raise ProbeError(f"{where}: {key!r} must be a list of words, not {described(value)}.")
    for index, word in enumerate(value):
        if not isinstance(word, str) or not word.strip():
            raise ProbeError(
                f"{where}: '{key}[{index}]' must be a word, not {described(word)}. Mend it, or drop it."
            )
    return value


def name(where: str, record: Record, key: str, *, optional: bool = True) -> str | None:
    """Text that is printed as it stands, on one line: no control characters.

    Raises:
        ProbeError: it is no such text.
    """
    value = text(where, record, key, optional=optional)
    if value is not None and (bad := next((c for c in value if invisible(c)), None)):
        raise ProbeError(
            f"{where}: {key!r} holds the control character {bad!r} ({short(value)}). Remove it: "
            f"{key}s are printed as they are, on one line."
        )
    return value


def image(where: str, path_text: str, source: Source) -> ImageSource:
    """The image at a path relative to the source's image folder. Whether it is there is seen later.

    Raises:
        ProbeError: it is a URL or a folder; nothing is fetched.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://|data:", path_text):
        raise ProbeError(
            f"{where}: the image {short(path_text)} is a URL. Nothing is fetched from the network: "
            f"save the image beside the file and give its path."
        )
    path = source.folder / path_text
    if os.path.isdir(path):
        raise ProbeError(
            f"{where}: the image {short(path_text)} is a folder. Name one file in it; a folder of "
            f"images is read by naming it instead of the probe file."
        )
    return ImageSource(name=path_text, path=path)
