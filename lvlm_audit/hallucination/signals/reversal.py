"""Reversal: a settled leader is replaced, at a mutation layer, by the token that is emitted.

A leader is settled after `settled_run(L)` states in a row; it is replaced at the first later state where
another token leads it by at least `MUTATION_MARGIN` (docs/method.md#late-mutation;
`metrics.nodes.late_mutations`). Where such a replacement lies in the last quarter and before L (the
terminal transition is apart), and the token that leads then is the emitted one,

    score = p_j(emitted) - p_j(the settled token)

at that state, the greatest where there are several; 0 elsewhere. In {0} and [0.1, 1].
Wang et al. 2025 (arXiv 2504.02862): camera -> water, black -> red, sheep -> dog.
"""

from __future__ import annotations

import numpy as np

from lvlm_audit.hallucination.signals.evidence import TokenEvidence
from lvlm_audit.hallucination.signals.signal import Scores, Signal
from lvlm_audit.metrics.nodes import late_mutations, probability_of, settled_run
from lvlm_audit.traces.trace import IntArray


def _score(evidence: TokenEvidence) -> Scores:
    leader, curves = evidence.leader, evidence.candidate_probability
    mutated = late_mutations(leader, evidence.candidate_ids, curves)[:, :-1]
    mutated &= leader[:, :-1] == evidence.token_ids[:, None]
    score = np.zeros(evidence.tokens)
    for t, j in np.argwhere(mutated):
        before = _settled_before(leader[t], int(j), settled_run(evidence.blocks))
        at = probability_of(np.array([before]), evidence.candidate_ids[t, None], curves[t, None])
        score[t] = max(score[t], float(evidence.probability[t, j]) - float(at[0, j]))
    return score


def _settled_before(leader: IntArray, state: int, run: int) -> int:
    """The token that last led for `run` states in a row before a state."""
    for end in range(state, run - 1, -1):
        tail = leader[end - run : end]
        if (tail == tail[0]).all():
            return int(tail[0])
    raise ValueError("nothing had settled before a state that is said to have mutated")


reversal = Signal(
    "reversal",
    "A settled leader was replaced in the last quarter by the emitted token.",
    "docs/method.md#late-mutation; Wang et al. 2025, arXiv 2504.02862",
    _score,
    fires_above=0.0,
)
