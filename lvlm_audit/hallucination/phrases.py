"""Finding words and phrases in an answer: whole words, in any case, English plurals for their singular."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from lvlm_audit.probes.plurals import forms
from lvlm_audit.traces.words import IN_WORD, unspaced


class Found(NamedTuple):
    """Where a text says a phrase.

    Attributes:
        phrase: as it was looked for.
        start: index of its first character.
        end: index after its last.
    """

    phrase: str
    start: int
    end: int


def find(text: str, phrases: Sequence[str]) -> list[Found]:
    """The phrases that a text says, from left to right; of those that overlap, the longest.

    A phrase is found as whole words; in scripts that do not part words by spaces, anywhere. Characters of
    such a script end the words beside them, as `word_spans` has it.
    """
    hits = [Found(p, *match.span()) for p in phrases for match in _pattern(p).finditer(text)]
    taken: list[Found] = []
    for hit in sorted(hits, key=lambda h: (h.start - h.end, h.start)):
        if all(hit.end <= other.start or hit.start >= other.end for other in taken):
            taken.append(hit)
    return sorted(taken, key=lambda h: h.start)


@lru_cache(maxsize=4096)
def _pattern(phrase: str) -> re.Pattern[str]:
    # A few characters stand in neither form of themselves, so the phrase as it is given counts too.
    spelled = dict.fromkeys(
        spelling
        for one in forms(phrase)
        for spelling in (one, *(unicodedata.normalize(form, one) for form in ("NFC", "NFD")))
    )
    longest_first = sorted(spelled, key=len, reverse=True)
    return re.compile("|".join(map(_whole, longest_first)))


def _whole(form: str) -> str:
    before = "" if unspaced(form[0]) else rf"(?<!{IN_WORD})"
    after = "" if unspaced(form[-1]) else rf"(?!{IN_WORD})"
    # Any space between the words of a phrase, but none of it as a part of a word. Case is ignored in the
    # phrase alone: folding the characters of all scripts in IN_WORD would take longer than all the rest.
    words = r"\s+".join(re.escape(word) for word in form.split())
    return f"{before}(?i:{words}){after}"
