"""The baseline: how improbable the emitted token is in the model's own output.

score = 1 - p_L(emitted). In [0, 1]. Hendrycks & Gimpel 2017 (arXiv 1610.02136), "maximum softmax
probability": what any detector has to beat, because it is free.
"""

from __future__ import annotations

from lvlm_audit.hallucination.signals.evidence import TokenEvidence
from lvlm_audit.hallucination.signals.signal import Scores, Signal


def _score(evidence: TokenEvidence) -> Scores:
    return 1.0 - evidence.probability[:, -1].astype(float)


final_probability = Signal(
    "final_probability",
    "The emitted token is improbable in the model's own output.",
    "Hendrycks & Gimpel 2017, arXiv 1610.02136: maximum softmax probability",
    _score,
)
