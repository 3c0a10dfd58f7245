"""Fields of a record, each checked for what it has to be; a message names place, field and value."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.probe import ImageSource
from lvlm_audit.probes.quoting import described, invisible, short


def text(where: str, line: dict[str, Any], key: str) -> str | None:
    """The text under `key`; None if the key is absent, or null where it may be."""
    value = line.get(key)
    optional = key not in ("image", "prompt")
    if value is None and (optional or key not in line):
        return None
    remedy = "Leave the key out." if optional else "Fill it in, or drop the line."
    if not isinstance(value, str):
        if type(value) in (int, float):
            remedy = f'Write it as "{value}".'
        raise ProbeError(f"{where}: {key!r} must be text, not {described(value)}. {remedy}")
    if not value.strip():
        raise ProbeError(f"{where}: {key!r} is blank ({short(value)}). {remedy}")
    return value


def name(where: str, line: dict[str, Any], key: str) -> str | None:
    """Text that is printed as it stands, on one line: no control characters."""
    value = text(where, line, key)
    if value is not None and (bad := next((c for c in value if invisible(c)), None)):
        raise ProbeError(
            f"{where}: {key!r} holds the control character {bad!r} ({short(value)}). Remove it: "
            f"{key}s are printed as they are, on one line."
        )
    return value


def image(where: str, path_text: str, folder: Path) -> ImageSource:
    """The image at a path relative to `folder`.

    Raises:
        ProbeError: no file is there, or it is a URL; nothing is fetched.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://|data:", path_text):
        raise ProbeError(
            f"{where}: the image {short(path_text)} is a URL. Nothing is fetched from the network: "
            f"save the image beside the file and give its path."
        )
    path = folder / path_text
    if os.path.isdir(path):
        raise ProbeError(
            f"{where}: the image {short(path_text)} is a folder. Name one file in it; a folder of "
            f"images is read by naming it instead of the .jsonl file."
        )
    if not os.path.exists(path):
        raise ProbeError(
            f"{where}: there is no image {short(path_text)} (looked for {str(path)!r}). "
            f"Paths are relative to the folder of the .jsonl file."
        )
    return ImageSource(name=path_text, path=path)
