"""Metrics of the first level of evidence: single tokens' probabilities, who leads, and at which depth.

Beside them `metrics.curves` holds those that the shipped suites use.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np
import numpy.typing as npt

from lvlm_audit.metrics.curves import Curve, Metric
from lvlm_audit.metrics.nodes import (
    CRITICAL,
    ONSET,
    SETTLE,
    saturation,
    sustained_from,
    switches,
)
from lvlm_audit.traces.trace import Trace

_TINY = float(np.finfo(np.float32).tiny)
"""Stands for a probability that underflowed: a margin is finite."""

DEPTH = "share of depth"
"""Unit of a node: its state over L."""


def _best_other(trace: Trace) -> Curve:
    """[T, S] probability of the most probable token that is not the emitted one."""
    emitted_leads = trace.leader == trace.token_ids[:, None]
    return np.where(emitted_leads, _second(trace), trace.top_probs[:, :, 0])


def _second(trace: Trace) -> Curve:
    """[T, S] probability of the runner-up; NaN where a capture kept the leader alone."""
    if trace.top_probs.shape[2] == 1:
        return np.full(trace.leader.shape, np.nan)
    return cast(Curve, trace.top_probs[:, :, 1])


def _lead(trace: Trace) -> Curve:
    return cast(Curve, trace.top_probs[:, :, 0] - _second(trace))


def last_margin(trace: Trace) -> npt.NDArray[np.float64]:
    """[T] bits by which the emitted token leads the best other one at the last state; negative where it
    does not lead, NaN where a capture kept no runner-up."""
    emitted = np.maximum(trace.probability[:, -1].astype(np.float64), _TINY)
    return np.log2(emitted) - np.log2(
        np.maximum(_best_other(trace)[:, -1].astype(np.float64), _TINY)
    )


def _depth(state: npt.NDArray[np.float64], trace: Trace) -> Curve:
    return cast(Curve, (state / trace.blocks)[:, None])


def _node(fraction: float) -> Callable[[Trace], Curve]:
    return lambda trace: _depth(sustained_from(trace.nucleus_mass, fraction), trace)


leader_probability = Metric(
    "probability of the leading token",
    "probability",
    "answers",
    lambda t: t.top_probs[:, :, 0],
    support=(0.0, 1.0),
)
rival_probability = Metric(
    "probability of the best token beside the emitted one",
    "probability",
    "answers",
    _best_other,
    support=(0.0, 1.0),
)
distractor_probability = Metric(
    "probability of the distractor",
    "probability",
    "answers",
    lambda t: t.distractor,
    support=(0.0, 1.0),
)
lead_margin = Metric(
    "leading minus second token's probability",
    "probability",
    "answers",
    _lead,
    support=(0.0, 1.0),
)
emitted_margin = Metric(
    "emitted minus best other token's probability",
    "probability",
    "answers",
    lambda t: t.probability - _best_other(t),
    support=(-1.0, 1.0),
)
token_rank = Metric(
    "rank of the emitted token",
    "tokens before it",
    "answers",
    lambda t: t.rank.astype(np.float64),
    support=(0.0, math.inf),
)
onset_depth = Metric("depth of the onset", DEPTH, "answers", _node(ONSET), support=(0.0, 1.0))
critical_depth = Metric(
    "depth of the critical state", DEPTH, "answers", _node(CRITICAL), support=(0.0, 1.0)
)
settle_depth = Metric(
    "depth of the settle state", DEPTH, "answers", _node(SETTLE), support=(0.0, 1.0)
)
saturation_depth = Metric(
    "depth from which the leader no longer changes",
    DEPTH,
    "answers",
    lambda t: _depth(saturation(t.leader), t),
    support=(0.0, 1.0),
)
leader_switches = Metric(
    "leader switches (churn)",
    "switches",
    "answers",
    lambda t: switches(t.leader)[:, None].astype(np.float64),
    support=(0.0, math.inf),
)
