"""Fields of a record, each checked for what it has to be; a message names place, field and value."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.bounded import size
from lvlm_audit.probes.probe import MAX_IMAGE_BYTES, ImageSource
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


def require(where: str, record: Record, keys: Sequence[str], remedy: str) -> None:
    """Keys that must be there.

    Raises:
        ProbeError: some are not; it names all of them.
    """
    missing = [repr(key) for key in keys if key not in record]
    if len(missing) == 1:
        raise ProbeError(f"{where}: the key {missing[0]} is missing. {remedy}")
    if missing:
        named = f"{', '.join(missing[:-1])} and {missing[-1]}"
        raise ProbeError(f"{where}: the keys {named} are missing. {remedy}")


def needed(where: str, record: Record, key: str, example: str) -> Any:
    """The value under a key that must be there.

    Raises:
        ProbeError: it is not, and a record looks like the example.
    """
    require(where, record, [key], f"A record is {example}.")
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
    """The image at a path relative to the source's image folder, or written into the text itself.

    Text is a data URI, or bare base64 that begins as a PNG, JPEG, GIF or WebP file does. Whether a path is
    there is seen later.

    Raises:
        ProbeError: it is a URL or a folder; nothing is fetched. Or a data URI that cannot be decoded.
    """
    if path_text[:5].lower() == "data:":
        return _of_data_uri(where, path_text)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", path_text):
        raise ProbeError(
            f"{where}: the image {short(path_text)} is a URL. Nothing is fetched from the network: "
            f"save the image beside the file and give its path."
        )
    if len(path_text) >= _LEAST_BASE64 and path_text.startswith(_BASE64_STARTS):
        return _of_base64(where, path_text, "base64 image")
    path = source.folder / path_text
    if os.path.isdir(path):
        raise ProbeError(
            f"{where}: the image {short(path_text)} is a folder. Name one file in it; a folder of "
            f"images is read by naming it instead of the probe file."
        )
    if "\\" in path_text and os.sep == "/" and not os.path.lexists(path):
        turned = source.folder / path_text.replace("\\", "/")
        if os.path.isfile(turned):
            source.remarks.add("images", "backslashes in paths were read as /", "path", path_text)
            path = turned
    return ImageSource(name=path_text, path=path)


# What a PNG, JPEG, GIF or WebP file begins with, in base64; a path is not that long.
_BASE64_STARTS = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR")
_LEAST_BASE64 = 80


def _of_data_uri(where: str, uri: str) -> ImageSource:
    head, comma, content = uri.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise ProbeError(
            f"{where}: the data URI {short(uri)} is not base64. Write it as data:image/png;base64,..., or "
            f"save the image beside the file and give its path."
        )
    return _of_base64(where, content, f"{head[:40]},...")


def _of_base64(where: str, content: str, name: str) -> ImageSource:
    if len(content) // 4 * 3 > MAX_IMAGE_BYTES:
        raise ProbeError(
            f"{where}: the image {short(name)} has more than {size(MAX_IMAGE_BYTES)}. Make it smaller."
        )
    try:
        data = base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProbeError(
            f"{where}: the image {short(name)} is not valid base64: {error}. Was it cut off? "
            f"Save the image beside the file and give its path."
        ) from error
    return ImageSource(name=name, data=data)
