"""Entropy of the model's own output.

score = H(p_L) in bits, >= 0. The predictive entropy of Malinin & Gales 2021 (arXiv 2002.07650, eq. 6)
for one token.
"""

from __future__ import annotations

from lvlm_audit.hallucination.signals.evidence import TokenEvidence
from lvlm_audit.hallucination.signals.signal import Scores, Signal


def _score(evidence: TokenEvidence) -> Scores:
    return evidence.entropy[:, -1].astype(float)


entropy = Signal(
    "entropy",
    "The model's output distribution is spread over many tokens.",
    "Malinin & Gales 2021, arXiv 2002.07650: token-level predictive entropy",
    _score,
)
