"""DeCo's candidate: a word that the output still allows was believed more, deeper inside, than the one said.

Wang et al. 2025 (DeCo, arXiv 2410.11779): the final distribution's top-p 0.9 set (at most 20 tokens) are
the candidates; among blocks 20 to 28 of 32 the state is chosen where a candidate has the highest
probability of all, and its logits are added to the output's. Here

    score = max over j in J, c in C without the emitted token, of p_j(c)  -  max over j in J of p_j(emitted)

with J the states 20 to 28 of 32 as shares of the depth (`metrics.premature`). In [-1, 1]: positive where
DeCo's anchor is another word than the one that was said.

A trace keeps the k (5) most probable tokens of each state, so C is cut to the final state's first k, and a
candidate that never leads and is not among the first k of a state counts 0 there, which cannot be the
maximum unless all are small. Where k = 1 there is no other candidate, and the score is NaN.
"""

from __future__ import annotations

import numpy as np

from lvlm_audit.hallucination.signals.evidence import TokenEvidence
from lvlm_audit.hallucination.signals.signal import Scores, Signal
from lvlm_audit.metrics.premature import deco_states
from lvlm_audit.traces.trace import IntArray

TOP_P = 0.9


def _score(evidence: TokenEvidence) -> Scores:
    here = list(deco_states(evidence.blocks))
    ids, probs = evidence.top_ids[:, -1], evidence.top_probs[:, -1].astype(float)
    if ids.shape[1] < 2:
        return np.full(evidence.tokens, np.nan)
    # The smallest set that holds TOP_P: a token belongs to it while those before it do not.
    allowed = (probs.cumsum(axis=1) - probs < TOP_P) & (ids != evidence.token_ids[:, None])
    peaks = np.stack([_peak(evidence, ids[:, k], here) for k in range(ids.shape[1])], axis=1)
    # Where the emitted token fills the whole set there is no rival, and none is believed more.
    rival = np.where(allowed, peaks, 0.0).max(axis=1)
    return np.asarray(rival - evidence.probability[:, here].max(axis=1).astype(float))


def _peak(evidence: TokenEvidence, ids: IntArray, here: list[int]) -> Scores:
    """[T] highest known probability of one token a row within the window."""
    wanted = ids[:, None, None]
    among = np.where(evidence.top_ids[:, here] == wanted, evidence.top_probs[:, here], 0.0)
    leads = (evidence.candidate_ids == ids[:, None])[:, :, None]
    known = np.where(leads, evidence.candidate_probability[:, :, here], 0.0)
    return np.asarray(np.maximum(among.max(axis=(1, 2)), known.max(axis=(1, 2))), np.float64)


deco = Signal(
    "deco",
    "A word that the output still allows peaked higher at 5/8 to 7/8 of the depth than the emitted one.",
    "Wang et al. 2025 (DeCo), arXiv 2410.11779, section 3: candidates and anchor layer",
    _score,
    fires_above=0.0,
)
