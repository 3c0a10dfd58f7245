"""Grounding: how little the output changes when the image is taken away.

score = 1 - JSD(p_L with the image, p_L without), same text before the token; in [0, 1].
The prompt dependency measure of Favero et al. 2024 (M3ID, arXiv 2403.14003, section 3), with the JSD for
the Hellinger distance: near 1 the token would have been said without looking. It cannot see a word that
was read off the wrong place of the image.
"""

from __future__ import annotations

import numpy as np

from lvlm_audit.hallucination.signals.evidence import TokenEvidence
from lvlm_audit.hallucination.signals.signal import Scores, Signal


def _score(evidence: TokenEvidence) -> Scores:
    assert evidence.without_image is not None
    return np.asarray(1.0 - evidence.without_image[:, -1].astype(float))


grounding = Signal(
    "grounding",
    "Taking the image away hardly changes the output.",
    "Favero et al. 2024 (M3ID), arXiv 2403.14003: prompt dependency measure",
    _score,
    needs="image pair",
)
