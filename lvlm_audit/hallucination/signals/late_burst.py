"""A late burst: the largest change of the distribution in the last quarter, the terminal transition apart.

score = max JSD(p_i, p_(i+1)) over the transitions whose target state lies in the last quarter of the
depth and before L: `late_start(L)` <= i + 1 <= L - 1. Bits, in [0, 1]. NaN where there is no such transition.
Wang et al. 2025 (arXiv 2504.02862), the isolated bursts of figure 4 in deep layers; the terminal
transition is left out because its jump is common to all tokens (docs/method.md#late-mutation).
"""

from __future__ import annotations

import numpy as np

from lvlm_audit.hallucination.signals.evidence import TokenEvidence
from lvlm_audit.hallucination.signals.signal import Scores, Signal
from lvlm_audit.metrics.nodes import late_start


def _score(evidence: TokenEvidence) -> Scores:
    late = evidence.divergence[:, late_start(evidence.blocks) - 1 : evidence.blocks - 1]
    if not late.shape[1]:
        return np.full(evidence.tokens, np.nan)
    return np.asarray(late.max(axis=1), dtype=np.float64)


late_burst = Signal(
    "late_burst",
    "The distribution changes strongly once more in the last quarter.",
    "Wang et al. 2025, arXiv 2504.02862: divergence bursts in deep layers",
    _score,
)
