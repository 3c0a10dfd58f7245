"""Lead loss: by how much the strongest earlier candidate lost its lead at the end.

Among the tokens c other than the emitted one that lead at some state, and the states j of the upper half
before L (ceil(L / 2) <= j < L), the greatest lead is

    lead_j(c) = p_j(c) - p_j(emitted),    (c*, j*) = argmax,

and score = lead_j*(c*) - lead_L(c*) where c* led at all; 0 where no other token leads there. In [0, 2] for
generated answers; a given token may be led at the end even more, which is below 0.
docs/method.md#hallucination (Wang et al. 2025, arXiv 2504.02862: the grounded candidate leads before, the
hallucinated one after), as a margin and without a threshold. Candidates are counted from half the depth
on, because which states are late must not depend on other answers. What was lost ends in the emitted
token's final margin, so a token that the model is sure of has lost its rival more than an unsure one.
"""

from __future__ import annotations

import numpy as np

from lvlm_audit.hallucination.signals.evidence import TokenEvidence
from lvlm_audit.hallucination.signals.signal import Scores, Signal


def _score(evidence: TokenEvidence) -> Scores:
    first, last = (evidence.blocks + 1) // 2, evidence.blocks
    other = (evidence.candidate_ids >= 0) & (evidence.candidate_ids != evidence.token_ids[:, None])
    lead = evidence.candidate_probability.astype(float) - evidence.probability[:, None].astype(
        float
    )
    before = np.where(other, lead[:, :, first:last].max(axis=2, initial=-np.inf), -np.inf)
    rows, strongest = np.arange(evidence.tokens), before.argmax(axis=1)
    led = before[rows, strongest]
    return np.where(led > 0, led - lead[rows, strongest, -1], 0.0)


lead_loss = Signal(
    "lead_loss",
    "A token that led in the upper half was overtaken by the emitted one, by this much.",
    "docs/method.md#hallucination; Wang et al. 2025, arXiv 2504.02862",
    _score,
    fires_above=0.0,
)
