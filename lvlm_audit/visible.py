"""Hostile text made visible: what a reader cannot see, or what reorders the text around it, is written out."""

from __future__ import annotations

import re
import unicodedata

# What a reader cannot see or what reorders the text around it: C0 and C1 controls, soft hyphen, bidi
# marks, embeddings, overrides and isolates, line and paragraph separators, blank fillers, zero-width
# space and joiners that no emoji needs, interlinear marks, lone surrogates, noncharacters and tags.
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufdd0-\ufdef\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\U0001fffe-\U0001ffff\U0010fffe-\U0010ffff]"
)
_MARKS_KEPT = 4
"""Combining marks kept on one letter; no script needs more, and a tower of them covers other lines."""


def written_out(match: re.Match[str]) -> str:
    """One character as its name: `⟨U+202E⟩`, `␉`."""
    code = ord(match.group())
    if match.group() == "\n":
        return "↵"
    if code < 0x20:
        return chr(0x2400 + code)
    return f"⟨U+{code:04X}⟩"


def visible(text: str, *, keep_newlines: bool = False) -> str:
    """The text with everything invisible or reordering written out, e.g. `⟨U+202E⟩`.

    Args:
        text: any string, lone surrogates included; the result is always encodable as UTF-8.
        keep_newlines: leave line feeds alone, for running text.
    """
    if text.isascii() and text.isprintable():
        return text
    if keep_newlines:
        text = text.replace("\r\n", "\n")
        return "\n".join(_INVISIBLE.sub(written_out, _unstacked(line)) for line in text.split("\n"))
    return _INVISIBLE.sub(written_out, _unstacked(text))


def _unstacked(text: str) -> str:
    """The text without towers of combining marks, which would paint over neighbouring lines."""
    if text.isascii():
        return text
    kept: list[str] = []
    run = 0
    for letter in text:
        run = run + 1 if unicodedata.category(letter) in {"Mn", "Me"} else 0
        if run <= _MARKS_KEPT:
            kept.append(letter)
    return "".join(kept)


def clip(text: str, limit: int) -> str:
    """The text cut to `limit` characters, the last one an ellipsis if anything was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
