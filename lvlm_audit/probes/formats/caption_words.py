"""The words of a caption as CHAIR counts them, so that its indices can be found again.

CHAIR cuts the caption in lower case with NLTK's `word_tokenize`, makes every word singular, and joins the
double words that it knows. An index is that of a word before they are joined. NLTK is not needed to find a
word whose index and text are known: where the cuts differ, the nearest word of that text is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from lvlm_audit.probes.plurals import singulars

# Contractions are two words, punctuation is one, what a hyphen joins stays together.
_WORD = re.compile(
    r"\w+?(?=n['\N{RIGHT SINGLE QUOTATION MARK}]t\b)|n['\N{RIGHT SINGLE QUOTATION MARK}]t\b"
    r"|['\N{RIGHT SINGLE QUOTATION MARK}](?:s|m|d|ll|re|ve)\b"
    r"|\w+(?:[-.,:/]\w+)*|\.\.\.|[^\w\s]",
    re.IGNORECASE,
)
# CHAIR counts "baby bird" as a bird at the place of "baby".
_QUALIFIERS = ("baby", "adult", "passenger", "bow")


class CaptionWord(NamedTuple):
    """A word of a caption.

    Attributes:
        text: in lower case.
        start: index of its first character.
        end: index after its last.
    """

    text: str
    start: int
    end: int


Span = tuple[int, int]
"""First and last word."""


def caption_words(caption: str) -> list[CaptionWord]:
    """The words of a caption, punctuation included, in order."""
    return [CaptionWord(m[0].lower(), *m.span()) for m in _WORD.finditer(caption)]


def find_object(
    words: Sequence[CaptionWord], name: str, place: int, taken: Sequence[Span]
) -> Span | None:
    """Where an object is named: at the place, or else at the nearest one that is not taken.

    Args:
        words: of the caption.
        name: the object's word as CHAIR has it: singular, or of two words.
        place: the index that CHAIR gives.
        taken: spans that other objects have.

    Returns:
        None where the caption does not name it.
    """
    at_place = _named_at(words, place, name)
    if at_place is None and place + 1 < len(words) and words[place].text in _QUALIFIERS:
        at_place = _named_at(words, place + 1, name)
    if at_place is not None and at_place not in taken:
        return at_place
    others = (_named_at(words, i, name) for i in range(len(words)))
    free = [span for span in others if span is not None and span not in taken]
    return min(free, key=lambda span: (abs(span[0] - place), span), default=None)


def names(words: Sequence[CaptionWord], nodes: Mapping[str, str]) -> Iterator[tuple[Span, str]]:
    """The objects that a caption names, with their nodes; of two readings the longer.

    Args:
        words: of the caption.
        nodes: word, or two words, to node.
    """
    index = 0
    while index < len(words):
        for last in (index + 1, index):
            node = None
            if last < len(words):
                head = [word.text for word in words[index:last]]
                forms = (" ".join([*head, form]) for form in _forms(words[last].text))
                node = next((nodes[form] for form in forms if form in nodes), None)
            if node is not None:
                yield (index, last), node
                index = last
                break
        index += 1


def _named_at(words: Sequence[CaptionWord], index: int, name: str) -> Span | None:
    parts = name.lower().split()
    last = index + len(parts) - 1
    if last >= len(words) or not parts:
        return None
    fits = all(part in _forms(word.text) for part, word in zip(parts, words[index:], strict=False))
    # A singular form that no rule of ours makes ("glas" of "glass") is still what the word begins with.
    begins = len(parts[-1]) > 3 and words[last].text.startswith(parts[-1])
    return (index, last) if fits or (begins and len(parts) == 1) else None


def _forms(word: str) -> list[str]:
    return [word, *singulars(word)]
