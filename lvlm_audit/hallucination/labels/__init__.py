"""Which tokens of an answer are hallucinated: from what its probe says about the truth.

Labels are made of the probe's labels, its reference answer and the answer's text, never of what was
measured inside the model: nothing that they are held against may enter them.
"""

from __future__ import annotations

from lvlm_audit.hallucination.labels.labelled import (
    CORRECT,
    DECISION,
    EXPECTED,
    HALLUCINATED,
    UNLABELLED,
    LabelledWord,
    TokenLabels,
)
from lvlm_audit.hallucination.labels.labelling import label_answers, truth_of

__all__ = [
    "CORRECT",
    "DECISION",
    "EXPECTED",
    "HALLUCINATED",
    "UNLABELLED",
    "LabelledWord",
    "TokenLabels",
    "label_answers",
    "truth_of",
]
