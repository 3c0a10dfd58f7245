"""The words of drawn scenes: what a scene may hold, and where a text says it. No NumPy."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

OBJECTS: Final[dict[str, str]] = {
    "banana": "bananas",
    "tomato": "tomatoes",
    "leaf": "leaves",
    "sun": "suns",
    "cloud": "clouds",
    "snowman": "snowmen",
    "crow": "crows",
    "heart": "hearts",
}
"""Kind of object -> its plural."""

COLORS: Final[tuple[str, ...]] = (
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
    "black",
    "white",
    "gray",
)

ROLE_WORDS: Final[dict[str, dict[str, str]]] = {
    "color": {color: color for color in COLORS},
    "object": {form: kind for kind, plural in OBJECTS.items() for form in (kind, plural)},
    "count": {word: word for word in ("no", "one", "two", "three")},
    "verdict": {"yes": "yes", "no": "no"},
}
"""Role -> form in lower case -> the word that it counts as (plurals as their singular)."""


class SaidWord(NamedTuple):
    """A word of a role, where a text says it.

    Attributes:
        word: what it counts as.
        start: index of its first character.
        end: index after its last.
    """

    word: str
    start: int
    end: int


def find_said_words(text: str, role: str) -> list[SaidWord]:
    """The words of a role that a text says, in order."""
    known = ROLE_WORDS[role]
    return [
        SaidWord(known[found[0].lower()], *found.span())
        for found in re.finditer(r"[A-Za-z]+", text)
        if found[0].lower() in known
    ]


def said_words(text: str, role: str) -> list[str]:
    """The same without their places."""
    return [said.word for said in find_said_words(text, role)]
