"""DoLa's divergence: how far the output lies from the most different premature state.

score = max over j in J of JSD(p_L, p_j), bits, in [0, 1]: the divergence by which DoLa chooses its
premature layer (Chuang et al. 2024, arXiv 2309.03883, section 2.2, "dynamic premature layer selection").
J is DoLa's upper bucket (`metrics.premature`): of 32 blocks the states 16, 18, ..., 30 of its experiments.
DoLa takes a large divergence for late factual knowledge that contrasting brings out; that it makes a token
*suspicious* is our reading, and what is scored here. Its code has half of KL(M || p_L) + KL(M || p_j),
averaged over the vocabulary, M the mixture: ours is the Jensen-Shannon divergence of its text.
"""

from __future__ import annotations

import numpy as np

from lvlm_audit.hallucination.signals.evidence import TokenEvidence
from lvlm_audit.hallucination.signals.signal import Scores, Signal
from lvlm_audit.metrics.premature import dola_states


def _score(evidence: TokenEvidence) -> Scores:
    # Whether the head is tied only moves where the lower bucket starts.
    states = dola_states("high", evidence.blocks, tied=False)
    late = evidence.jsd_to_final[:, list(states)]
    return np.asarray(late.max(axis=1), dtype=np.float64)


dola = Signal(
    "dola",
    "The output lies far from a premature state of the upper half.",
    "Chuang et al. 2024 (DoLa), arXiv 2309.03883, section 2.2",
    _score,
)
