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


def side_by_side(one: str, other: str) -> tuple[list[Run], list[Run]]:
    """Both texts as runs of words; joined with spaces they are the texts, cut to `MAX_CHARACTERS`."""
    left, right = clip(one, MAX_CHARACTERS).split(), clip(other, MAX_CHARACTERS).split()
    runs: tuple[list[Run], list[Run]] = ([], [])
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        for side, words in zip(runs, (left[a:b], right[c:d]), strict=True):
            if words:
                side.append(Run(" ".join(words), tag != "equal"))
    return runs
