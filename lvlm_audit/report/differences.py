"""Two texts side by side, word by word: which words only one of them has."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from lvlm_audit.report.words import clip

MAX_CHARACTERS = 600
"""Of a text: comparing takes time with the square of its length, and a page has no room for more."""


@dataclass(frozen=True, slots=True)
class Run:
    """Some words in a row. `only`: the other text does not have them there."""

    text: str
    only: bool


def side_by_side(one: str, other: str, most: int = MAX_CHARACTERS) -> tuple[list[Run], list[Run]]:
    """Both texts as runs of words; joined with spaces they are the texts, cut between words."""
    # A word is cut only where it alone would fill the room.
    left, right = ([clip(w, most) for w in text.split()] for text in (one, other))
    count = min(_fitting(left, most), _fitting(right, most))
    cut = max(len(left), len(right)) > count
    left, right = left[:count], right[:count]
    runs: tuple[list[Run], list[Run]] = ([], [])
    codes = difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
    for place, (tag, a, b, c, d) in enumerate(codes, start=1):
        # What the other text says next may lie behind the cut.
        unknown = cut and place == len(codes) and tag in ("insert", "delete")
        for side, words in zip(runs, (left[a:b], right[c:d]), strict=True):
            if words:
                side.append(Run(" ".join(words), tag != "equal" and not unknown))
    for side, text in zip(runs, (one, other), strict=True):
        if len(text.split()) > count:
            side.append(Run("…", False))
    return runs


def _fitting(words: list[str], most: int) -> int:
    """As many words as fit, or the greatest number that any text has where all of them do."""
    room = most
    for place, word in enumerate(words):
        room -= len(word) + 1
        if room < 0:
            return max(place, 1)
    return most
