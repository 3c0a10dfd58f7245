"""Lists of words (`grounded`, `hallucinated`): every one that is said."""

from __future__ import annotations

from collections.abc import Iterator

from lvlm_audit.hallucination.labels.kind import FoundWord, found_phrase
from lvlm_audit.hallucination.labels.labelled import CORRECT, HALLUCINATED
from lvlm_audit.hallucination.phrases import find
from lvlm_audit.probes.labels import Truth


def of_lists(truth: Truth, text: str) -> Iterator[FoundWord]:
    """Every listed word that the answer says."""
    untrue = set(truth.hallucinated)
    for hit in find(text, [*truth.grounded, *truth.hallucinated]):
        judged = HALLUCINATED if hit.phrase in untrue else CORRECT
        yield found_phrase(hit.start, hit.end, judged, hit.phrase)
