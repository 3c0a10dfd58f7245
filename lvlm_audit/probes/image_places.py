"""Places for images in a text (`<image>`): the model's own processor puts them there, so they are taken out."""

from __future__ import annotations

import re

_PLACE = re.compile(r"<image>|<\|image(?:_\d+)?\|>|<image_placeholder>|<ImageHere>")
_AT_START = re.compile(rf"\s*(?:{_PLACE.pattern})\s*")


def places(text: str) -> int:
    """How many there are."""
    return len(_PLACE.findall(text))


def without_places(text: str) -> str:
    """The text without them and the white space beside them; a text without any is returned as it is.

    Example:
        >>> without_places("<image>\\nWhat is this?")
        'What is this?'
        >>> without_places("Is <image> older than <image>?")
        'Is older than ?'
    """
    pieces = [piece for piece in _AT_START.split(text) if piece]
    return " ".join(pieces) if places(text) else text


def lead(text: str) -> bool:
    """Whether they stand before the text, which is where images are shown."""
    rest = text
    while found := _AT_START.match(rest):
        rest = rest[found.end() :]
    return not places(rest)
