"""Overthinking: how many hypotheses compete over the depth, times how unsure the states are.

score = mean over states 1..L of H(p_j)  x  (distinct leading tokens of states 1..L) / L, bits.
Shoby et al. 2026 (arXiv 2603.07619), "Overthinking Score", as its published code computes it
(`compute_overthinking`), but in bits, and on the run's lens; state 0, the embedding, is left out there too.
"""

from __future__ import annotations

import numpy as np

from lvlm_audit.hallucination.signals.evidence import TokenEvidence
from lvlm_audit.hallucination.signals.signal import Scores, Signal


def _score(evidence: TokenEvidence) -> Scores:
    leader = np.sort(evidence.leader[:, 1:], axis=1)
    distinct = 1 + (leader[:, 1:] != leader[:, :-1]).sum(axis=1)
    unsure = evidence.entropy[:, 1:].astype(float).mean(axis=1)
    return np.asarray(unsure * distinct / evidence.blocks)


overthinking = Signal(
    "overthinking",
    "Many tokens lead in turn over the depth, and the states are unsure.",
    "Shoby et al. 2026, arXiv 2603.07619: Overthinking Score (compute_overthinking)",
    _score,
)
