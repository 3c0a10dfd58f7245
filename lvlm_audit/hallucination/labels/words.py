"""An expected word and lists of words: what is said of them, and what stands in the expected word's place."""

from __future__ import annotations

from collections.abc import Iterator

from lvlm_audit.hallucination.labels.kind import FoundWord, LabelKind, Labelled, says, scheme_of
from lvlm_audit.hallucination.labels.labelled import CORRECT, EXPECTED, HALLUCINATED
from lvlm_audit.hallucination.labels.word_lists import of_lists
from lvlm_audit.hallucination.labels.wording import wording
from lvlm_audit.hallucination.phrases import find
from lvlm_audit.metrics.answers import normalised
from lvlm_audit.probes.labels import Truth
from lvlm_audit.traces.words import content_words, word_spans


def _label(truth: Truth, text: str, reference: str | None) -> Labelled | None:
    if not (truth.expected or truth.grounded or truth.hallucinated):
        return None
    listed = list(of_lists(truth, text))
    others = [
        word
        for word in _expected(truth, text, reference)
        if all(word.end <= one.start or word.start >= one.end for one in listed)
    ]
    rule = "words that the probe calls grounded, hallucinated or expected; others are unlabelled"
    return Labelled(scheme_of(truth, rule), [*listed, *others])


def _expected(truth: Truth, text: str, reference: str | None) -> Iterator[FoundWord]:
    if truth.expected is None:
        return
    hits = [(hit.start, hit.end) for hit in find(text, [truth.expected])]
    # "2" is "two".
    hits = hits or [s for s in word_spans(text) if _is(text[slice(*s)], truth.expected)]
    for start, end in hits:
        one = says(text[start:end])
        yield FoundWord(start, end, CORRECT, None, one, EXPECTED, truth.expected.casefold())
    place = None if hits else _place_of(truth.expected, text, reference)
    if place is not None:
        said = text[slice(*place)]
        yield FoundWord(*place, HALLUCINATED, truth.expected, says(said), EXPECTED, said.casefold())


def _is(word: str, expected: str) -> bool:
    return normalised(word) == normalised(expected)


def _place_of(expected: str, text: str, reference: str | None) -> tuple[int, int] | None:
    """Where the answer says something else than the expected word.

    None where that cannot be told: the word in its place carries no content, or what follows it is not what
    follows the expected word ("the red bus is" against "the car is": it is not the "red" that is wrong).
    """
    said = list(word_spans(text))
    if len(said) == 1:
        return said[0] if _carries_content(text, said[0]) else None
    for hit in find(reference or "", [expected])[:1]:
        assert reference is not None
        words = list(word_spans(reference))
        before = [s for s in words if s[0] < hit.start]
        after = [s for s in words if s[0] >= hit.end]
        at = len(before)
        if (
            len(said) > at
            and wording(text, said[:at]) == wording(reference, before)
            and _carries_content(text, said[at])
            and _goes_on_alike(text, said[at + 1 :], reference, after)
        ):
            return said[at]
    return None


def _carries_content(text: str, span: tuple[int, int]) -> bool:
    word = text[slice(*span)]
    return bool(content_words(word, prompt="")) or word.casefold() in ("yes", "no")


def _goes_on_alike(
    text: str, said: list[tuple[int, int]], reference: str, wanted: list[tuple[int, int]]
) -> bool:
    if not said:
        return True
    if not wanted:
        return not _carries_content(text, said[0])
    return wording(text, said[:1]) == wording(reference, wanted[:1])


WORDS = LabelKind("words", _label)
