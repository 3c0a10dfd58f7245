"""Yes or no: the word that decided, by the data set's rule."""

from __future__ import annotations

from collections.abc import Iterator

from lvlm_audit.hallucination.labels.kind import FoundWord, LabelKind, Labelled
from lvlm_audit.hallucination.labels.labelled import CORRECT, DECISION, HALLUCINATED
from lvlm_audit.hallucination.labels.word_lists import of_lists
from lvlm_audit.hallucination.verdicts import rule_of
from lvlm_audit.probes.labels import Truth


def _label(truth: Truth, text: str, reference: str | None) -> Labelled | None:
    if truth.verdict is None:
        return None
    return Labelled(rule_of(truth.dataset).text, [*_decision(truth, text), *of_lists(truth, text)])


def _decision(truth: Truth, text: str) -> Iterator[FoundWord]:
    rule = rule_of(truth.dataset)
    said = rule.read(text)
    if said.start < said.end:
        right = said.verdict == truth.verdict
        yield FoundWord(
            said.start,
            said.end,
            CORRECT if right else HALLUCINATED,
            None if right else truth.verdict,
            lambda blind: rule.read(blind).verdict == said.verdict,
            DECISION,
            said.verdict or "",
        )


YES_NO = LabelKind("yes or no", _label)
