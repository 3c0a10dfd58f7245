"""English plurals by rule, for finding a word that a list has in its other form."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

# What a rule does not make.
_IRREGULAR = {
    "man": "men",
    "woman": "women",
    "child": "children",
    "person": "people",
    "mouse": "mice",
    "goose": "geese",
    "foot": "feet",
    "tooth": "teeth",
    "knife": "knives",
    "leaf": "leaves",
    "loaf": "loaves",
    "shelf": "shelves",
    "scarf": "scarves",
    "wolf": "wolves",
    "calf": "calves",
}
_ENDINGS = (("ies", "y"), ("es", ""), ("s", ""))


def plurals(word: str) -> Iterator[str]:
    """What the plural of a word in lower case may be; none of words of fewer than three letters."""
    if word in _IRREGULAR:
        yield _IRREGULAR[word]
    elif len(word) < 3:
        return
    elif word.endswith(("s", "x", "z", "ch", "sh")):
        yield word + "es"
    elif word.endswith("y") and word[-2] not in "aeiou":
        yield word[:-1] + "ies"
    else:
        yield word + "s"
        if word.endswith("o"):
            yield word + "es"


def singulars(word: str) -> Iterator[str]:
    """The words whose plural this may be, by the same rules read backwards."""
    yield from (singular for singular, plural in _IRREGULAR.items() if word == plural)
    for ending, stem in _ENDINGS:
        if word.endswith(ending):
            singular = word[: -len(ending)] + stem
            if word in plurals(singular) and singular not in _IRREGULAR:
                yield singular


def forms(phrase: str) -> Iterator[str]:
    """The phrase, and its last word in plural and singular."""
    head, space, last = " ".join(phrase.split()).rpartition(" ")
    for form in (last, *plurals(last.lower()), *singulars(last.lower())):
        yield f"{head}{space}{form}"


def alike(phrase: str, others: Iterable[str]) -> str | None:
    """The first of the others that the same words of a text may say, whatever case and number; or None."""
    said = _sayings(phrase)
    return next((other for other in others if not said.isdisjoint(_sayings(other))), None)


@lru_cache(maxsize=4096)
def _sayings(phrase: str) -> frozenset[str]:
    return frozenset(unicodedata.normalize("NFC", form.casefold()) for form in forms(phrase))
