"""All kinds of label, in the order in which they are asked: the first that has something to say decides."""

from __future__ import annotations

from lvlm_audit.hallucination.labels.kind import LabelKind, Labelled
from lvlm_audit.hallucination.labels.scene import SCENE
from lvlm_audit.hallucination.labels.spans import SPANS
from lvlm_audit.hallucination.labels.words import WORDS
from lvlm_audit.hallucination.labels.yes_no import YES_NO
from lvlm_audit.probes.labels import Truth

KINDS: tuple[LabelKind, ...] = (SCENE, SPANS, YES_NO, WORDS)


def label_text(truth: Truth, text: str, reference: str | None) -> Labelled:
    """The words of known truth in an answer, and the rule that found them."""
    for kind in KINDS:
        found = kind.label(truth, text, reference)
        if found is not None:
            return found
    return Labelled("the probe's labels do not say what is true", [])
