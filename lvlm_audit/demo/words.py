"""The words by which a scene's answer is scored: said ones against true ones in the same place. No torch."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from lvlm_audit.demo.questions import Question
from lvlm_audit.demo.scenes import BACKGROUND_COLORS, KINDS

ROLE_WORDS: Final[dict[str, dict[str, str]]] = {
    "color": {color: color for color in BACKGROUND_COLORS},
    "object": {form: kind for kind, (plural, _) in KINDS.items() for form in (kind, plural)},
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


def word_hits(question: Question, answer: str, role: str) -> list[bool]:
    """For each true word of a role, whether the answer says it in the same place."""
    true = [ROLE_WORDS[role][word.text.lower()] for word in question.words if word.role == role]
    said = said_words(answer, role)
    return [place < len(said) and said[place] == word for place, word in enumerate(true)]
