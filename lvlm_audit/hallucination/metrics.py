"""Metrics that read what is known about the truth, and the one that they are held against."""

from __future__ import annotations

import numpy as np

from lvlm_audit.document import TokenReading
from lvlm_audit.hallucination.labels import UNLABELLED, label_answers
from lvlm_audit.hallucination.right import right
from lvlm_audit.metrics.curves import Curve, Metric
from lvlm_audit.metrics.nodes import late_mutations
from lvlm_audit.traces.trace import Trace


def _hallucinated(trace: Trace) -> Curve:
    truth = label_answers([trace])[0].truth
    known = truth.astype(np.float64)
    known[truth == UNLABELLED] = np.nan
    return known[:, None]


def _right_answer(trace: Trace) -> Curve:
    known = right(trace)
    return np.full((trace.tokens, 1), np.nan if known is None else float(known))


def _late_reversal(trace: Trace) -> Curve:
    mutated = late_mutations(trace.leader, trace.candidate_ids, trace.candidate_probability)
    late = np.asarray(mutated[:, : trace.blocks].any(axis=1), dtype=np.float64)
    return late[:, None]


def _read_back(token: TokenReading) -> float:
    return float(bool(token.mutations))


hallucinated = Metric(
    "the word is hallucinated, by the probe's labels",
    "truth",
    "answers",
    _hallucinated,
    support=(0.0, 1.0),
    truth=True,
    nothing="no word of these answers is labelled right or wrong",
)
right_answer = Metric(
    "the whole answer is right",
    "right",
    "answers",
    _right_answer,
    support=(0.0, 1.0),
    whole=True,
    nothing="no probe says what a right answer is",
)
late_reversal = Metric(
    "a settled leader is replaced in the last quarter",
    "reversal",
    "answers",
    _late_reversal,
    support=(0.0, 1.0),
    read_back=_read_back,
)
