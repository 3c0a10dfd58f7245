"""Answers against references, as text. What counts as the same is said here once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from lvlm_audit.traces.words import split_words

ARTICLES = frozenset({"a", "an", "the"})

# fmt: off
_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
# fmt: on
_NUMBERS = {word: number for number, word in enumerate(_UNITS)} | {
    word: 10 * (number + 2) for number, word in enumerate(_TENS)
}
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_SIGN = re.compile(r"(?<!\w)[-\N{MINUS SIGN}]$")
_APOSTROPHES = str.maketrans("\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}", "''")


def normalised(text: str) -> str:
    """Case, punctuation, articles and space do not count, as in VQA's evaluation (Antol et al. 2015).

    Number words up to ninety-nine are their digits, and commas between thousands go. What tells answers
    apart stays: a decimal point, a minus before a number, an article that no word follows (the choice
    "A"), and the signs of a text that is nothing else ("+").
    """
    plain = _plain(text)
    words = list(_without_articles(_with_digits(list(_signed_words(plain)))))
    return " ".join(words) if words else "".join(plain.split())


def correct(answer: str, reference: str) -> bool:
    """The answer is the reference, or begins with it where the reference is a bare "yes" or "no"."""
    said, wanted = normalised(answer), normalised(reference)
    if wanted in ("yes", "no"):
        return said.split()[:1] == [wanted]
    return said == wanted


def _plain(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).casefold().translate(_APOSTROPHES)
    return _THOUSANDS.sub("", plain)


def _signed_words(plain: str) -> Iterator[str]:
    for start, end in split_words(plain):
        sign = "-" if plain[start].isdecimal() and _SIGN.search(plain, 0, start) else ""
        yield sign + plain[start:end]


def _with_digits(words: Sequence[str]) -> Iterator[str]:
    at = 0
    while at < len(words):
        number = _NUMBERS.get(words[at])
        after = _NUMBERS.get(words[at + 1], 0) if at + 1 < len(words) else 0
        if number is None:
            yield words[at]
        elif number >= 20 and 1 <= after <= 9:
            yield str(number + after)
            at += 1
        else:
            yield str(number)
        at += 1


def _without_articles(words: Iterator[str]) -> Iterator[str]:
    kept = ""
    for word in words:
        if kept and kept not in ARTICLES:
            yield kept
        kept = word
    if kept:
        yield kept
