"""Internal confidence: whether any image position says the word, at any state.

score = 1 - max over image positions and states of the lens probability of the emitted token; in [0, 1].
Jiang et al. 2024 (vl-interp, arXiv 2410.02762, section 3, "internal confidence"): objects that are not in
the image are said by its positions with less confidence. Theirs takes the highest over all pieces of an
object's name and a head on raw states; ours takes the emitted first piece and the run's lens.
"""

from __future__ import annotations

import numpy as np

from lvlm_audit.hallucination.signals.evidence import TokenEvidence
from lvlm_audit.hallucination.signals.signal import Scores, Signal


def _score(evidence: TokenEvidence) -> Scores:
    assert evidence.image_confidence is not None
    return np.asarray(1.0 - evidence.image_confidence.astype(float).max(axis=1))


image_confidence = Signal(
    "image_confidence",
    "No position of the image says the word at any state.",
    "Jiang et al. 2024 (vl-interp), arXiv 2410.02762: internal confidence",
    _score,
    needs="image words",
)
