"""JSON that a person or a program wrote: read strictly, and refused with its place."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.quoting import described, short

EXAMPLE = '{"image": "photo.jpg", "prompt": "What is this?"}'
"""A line of a probe file."""


def lines(path: Path, where: str) -> Iterator[tuple[int, str]]:
    """The lines of a file that are not blank, with their numbers from 1.

    Raises:
        ProbeError: it cannot be read, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                raw = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                try:
                    text = raw.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise ProbeError(
                        f"{where}, line {number}: not UTF-8 (byte 0x{raw[error.start]:02x} at byte "
                        f"{error.start + 1} of the line). Save the file as UTF-8."
                    ) from error
                if text.strip():
                    yield number, text
    except OSError as error:
        raise ProbeError(
            f"cannot read {where}: {error.strerror or error}. Check its permissions."
        ) from error


def parse_object(where: str, text: str) -> dict[str, Any]:
    """A line's JSON object, as strict as JSON is, and without a key that occurs twice.

    Raises:
        ProbeError: anything else; names place and remedy.
    """
    try:
        line = json.loads(
            text.rstrip("\r\n"),
            object_pairs_hook=lambda pairs: _object(where, pairs),
            parse_constant=lambda name: _no_constant(where, name),
        )
        # JSON can spell half a surrogate pair, which no file or terminal can be given.
        json.dumps(line, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise ProbeError(
            f"{where}, column {error.colno}: not valid JSON: {error.msg}. "
            f"Each line must be one whole JSON object, such as {EXAMPLE}."
        ) from error
    except UnicodeEncodeError as error:
        raise ProbeError(
            f"{where}: {error.object[error.start]!r} is half a surrogate pair and no character. "
            f"Write the character itself, or both halves."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ProbeError(
            f"{where}: cannot be read as JSON: {error}. Shorten or flatten the line."
        ) from error
    if not isinstance(line, dict):
        raise ProbeError(
            f"{where}: must be a JSON object, not {described(line)}. Write it as {EXAMPLE}."
        )
    return line


def _object(where: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Python keeps the last of two equal keys and says nothing.
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ProbeError(f"{where}: the key {short(key)} occurs twice. Drop one of them.")
        result[key] = value
    return result


def _no_constant(where: str, name: str) -> NoReturn:
    raise ProbeError(f"{where}: {name} is not JSON. Write a number, text or null.")
