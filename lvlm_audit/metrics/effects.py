"""Metrics of what an intervention did: the whole model against the same model with blocks skipped.

One value a token, read at state L, where both are the models' own distributions. A check that uses one
declares which blocks: `under=Skip("skip.1")`.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from lvlm_audit.metrics.curves import Curve, Metric
from lvlm_audit.traces.effects import EffectTrace


def _same_answer(effect: EffectTrace) -> Curve:
    same = effect.same_answer
    return np.full((len(effect.token_ids), 1), np.nan if same is None else float(same))


skip_kl = Metric(
    "KL of the whole model from the skipped one",
    "bits",
    "effects",
    lambda e: cast(Curve, e.kl[:, None]),
    support=(0.0, math.inf),
)
skip_divergence = Metric(
    "JSD of the whole model and the skipped one",
    "bits",
    "effects",
    lambda e: cast(Curve, e.divergence[:, None]),
    support=(0.0, 1.0),
)
leader_agreement = Metric(
    "the skipped model's leading token is the whole model's",
    "agreement",
    "effects",
    lambda e: e.agrees[:, None].astype(np.float64),
    support=(0.0, 1.0),
)
answer_agreement = Metric(
    "asked anew, the skipped model gives the whole model's answer",
    "agreement",
    "effects",
    _same_answer,
    support=(0.0, 1.0),
)
