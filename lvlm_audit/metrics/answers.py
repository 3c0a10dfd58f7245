"""Answers against references, as text. What counts as the same is said here once."""

from __future__ import annotations

import re
import unicodedata

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = re.compile(r"[^\w\s]")


def normalised(text: str) -> str:
    """Case, punctuation, articles and space do not count, as in VQA's evaluation (Antol et al. 2015)."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_ARTICLES.sub(" ", _PUNCTUATION.sub(" ", plain)).split())


def correct(answer: str, reference: str) -> bool:
    """The answer is the reference, or begins with it where the reference is a bare "yes" or "no"."""
    said, wanted = normalised(answer), normalised(reference)
    if wanted in ("yes", "no"):
        return said.split()[:1] == [wanted]
    return said == wanted
