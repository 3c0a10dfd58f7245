"""Metrics of the second level of evidence: whole distributions, state against state.

The divergence between neighbours that the shipped suites use is `metrics.curves.neighbour_divergence`.
"""

from __future__ import annotations

import math

import numpy as np

from lvlm_audit.metrics.curves import Metric
from lvlm_audit.traces.trace import PAPER_INDEX_UNIT

jsd_to_final = Metric(
    "JSD to the final state", "bits", "answers", lambda t: t.jsd_to_final, support=(0.0, 1.0)
)
kl_to_final = Metric(
    "forward KL(final || state)",
    "bits",
    "answers",
    lambda t: t.kl_to_final,
    support=(0.0, math.inf),
)
entropy = Metric("entropy", "bits", "answers", lambda t: t.entropy, support=(0.0, math.inf))
leader_changes = Metric(
    "change of the leading token",
    "changes",
    "answers",
    lambda t: (t.leader[:, 1:] != t.leader[:, :-1]).astype(np.float64),
    support=(0.0, 1.0),
)
paper_index = Metric(
    "paper index between neighbouring states",
    PAPER_INDEX_UNIT,
    "answers",
    lambda t: t.between_neighbours("paper_index"),
    support=(0.0, math.inf),
    optional="paper_index",
)
