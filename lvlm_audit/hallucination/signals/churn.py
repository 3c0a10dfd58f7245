"""Churn: how often the leading token changes from state to state.

score = number of transitions i in 0..L-1 with argmax p_i != argmax p_(i+1). In [0, L].
Top-1 switches (docs/method.md#further-measures).
"""

from __future__ import annotations

from lvlm_audit.hallucination.signals.evidence import TokenEvidence
from lvlm_audit.hallucination.signals.signal import Scores, Signal
from lvlm_audit.metrics.nodes import switches


def _score(evidence: TokenEvidence) -> Scores:
    return switches(evidence.leader).astype(float)


churn = Signal(
    "churn",
    "The leading token changes often from state to state.",
    "Wang et al. 2025, arXiv 2504.02862 (candidates compete); count of top-1 switches",
    _score,
)
