"""Spans of the reference answer: the words at their place, where the reference was said word for word."""

from __future__ import annotations

from lvlm_audit.hallucination.labels.kind import (
    FoundWord,
    LabelKind,
    Labelled,
    found_phrase,
    scheme_of,
)
from lvlm_audit.hallucination.labels.labelled import CORRECT, HALLUCINATED
from lvlm_audit.hallucination.labels.wording import wording
from lvlm_audit.probes.labels import Truth
from lvlm_audit.traces.words import word_spans


def _label(truth: Truth, text: str, reference: str | None) -> Labelled | None:
    if not truth.spans or reference is None:
        return None
    words = _said(truth, text, reference)
    if words is None:
        return None
    return Labelled(scheme_of(truth, "words of the given answer, by their place"), words)


def _said(truth: Truth, text: str, reference: str) -> list[FoundWord] | None:
    """The reference's spans where the answer says them; None if it is another answer."""
    of_reference, said = list(word_spans(reference)), list(word_spans(text))
    if wording(reference, of_reference) != wording(text, said):
        return None
    found = []
    for span in truth.spans:
        end = span.start + len(span.text)
        inside = [i for i, (a, b) in enumerate(of_reference) if a < end and b > span.start]
        if inside:
            judged = HALLUCINATED if span.hallucinated else CORRECT
            first, last = inside[0], inside[-1]
            # A span may be less than a word: the dog of "dog's".
            start = said[first][0] + max(0, span.start - of_reference[first][0])
            stop = said[last][1] - max(0, of_reference[last][1] - end)
            found.append(found_phrase(start, stop, judged, span.text))
    return found


SPANS = LabelKind("spans", _label)
