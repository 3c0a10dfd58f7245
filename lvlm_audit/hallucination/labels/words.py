"""An expected word and lists of words: what is said of them, and what stands in the expected word's place."""

from __future__ import annotations

from collections.abc import Iterator

from lvlm_audit.hallucination.labels.kind import FoundWord, LabelKind, Labelled, says, scheme_of
from lvlm_audit.hallucination.labels.labelled import CORRECT, EXPECTED, HALLUCINATED
from lvlm_audit.hallucination.labels.word_lists import of_lists
from lvlm_audit.hallucination.labels.wording import wording
from lvlm_audit.hallucination.phrases import find
from lvlm_audit.probes.labels import Truth
from lvlm_audit.traces.words import word_spans


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
    hits = find(text, [truth.expected])
    for hit in hits:
        yield FoundWord(
            hit.start,
            hit.end,
            CORRECT,
            None,
            says(hit.phrase),
            EXPECTED,
            truth.expected.casefold(),
        )
    place = None if hits else _place_of(truth.expected, text, reference)
    if place is not None:
        said = text[slice(*place)]
        yield FoundWord(*place, HALLUCINATED, truth.expected, says(said), EXPECTED, said.casefold())


def _place_of(expected: str, text: str, reference: str | None) -> tuple[int, int] | None:
    """Where the answer says something else than the expected word."""
    said = list(word_spans(text))
    if len(said) == 1:
        return said[0]
    for hit in find(reference or "", [expected])[:1]:
        assert reference is not None
        before = [s for s in word_spans(reference) if s[0] < hit.start]
        if len(said) > len(before) and wording(text, said[: len(before)]) == wording(
            reference, before
        ):
            return said[len(before)]
    return None


WORDS = LabelKind("words", _label)
