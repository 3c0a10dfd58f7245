"""DoLa's divergence: how far the output lies from the most different premature state.

score = max over j in J of JSD(p_L, p_j), bits, in [0, 1]: the divergence by which DoLa chooses its
premature layer (Chuang et al. 2024, arXiv 2309.03883, section 2.2, "dynamic premature layer selection").
J is DoLa's upper bucket, every second state of the upper half: `range(L // 2, L, 2)`, which for 32
blocks is the 16, 18, ..., 30 of its experiments. DoLa takes a large divergence for late factual knowledge
that contrasting brings out; that it makes a token *suspicious* is our reading, and what is scored here.
Its code has half of KL(M || p_L) + KL(M || p_j), averaged over the vocabulary, M the mixture: ours is the
Jensen-Shannon divergence of its text.
"""

from __future__ import annotations

import numpy as np

from lvlm_audit.hallucination.signals.evidence import TokenEvidence
from lvlm_audit.hallucination.signals.signal import Scores, Signal


def premature(blocks: int) -> list[int]:
    """DoLa's candidate states: every second one of the upper half, state L not among them."""
    return list(range(blocks // 2, blocks, 2))


def _score(evidence: TokenEvidence) -> Scores:
    late = evidence.jsd_to_final[:, premature(evidence.blocks)]
    return np.asarray(late.max(axis=1), dtype=np.float64)


dola = Signal(
    "dola",
    "The output lies far from a premature state of the upper half.",
    "Chuang et al. 2024 (DoLa), arXiv 2309.03883, section 2.2",
    _score,
)
