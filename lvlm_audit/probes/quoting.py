"""Quoting what was read in a message: hostile text is shown with `repr`, and cut."""

from __future__ import annotations

import unicodedata
from typing import Any

_TYPE_NAMES = {
    bool: "true or false",
    dict: "an object",
    float: "a number",
    int: "a number",
    list: "a list",
    str: "text",
    type(None): "null",
}
# Invisible characters that reorder the text around them in a terminal or a report.
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


def described(value: Any) -> str:
    """A JSON value by its type, with the value."""
    return f"{_TYPE_NAMES.get(type(value), type(value).__name__)} ({short(value)})"


def short(value: Any) -> str:
    """`repr`, which makes control characters visible, cut to a length that fits a message."""
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "..."


def invisible(character: str) -> bool:
    """Whether a character moves the cursor or reorders text, and so may not be printed as it stands."""
    return unicodedata.category(character) in ("Cc", "Zl", "Zp") or character in _BIDI


def visible(name: str) -> str:
    """A file name as a printable id: control characters and undecodable bytes are spelled out."""
    spelled = "".join(
        c.encode("unicode_escape").decode("ascii") if invisible(c) else c for c in name
    )
    return spelled.encode("utf-8", "backslashreplace").decode("utf-8")
