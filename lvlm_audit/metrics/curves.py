"""Metrics: named curves over states (or transitions) of every token of one recording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from lvlm_audit.traces.trace import PairedTrace, Trace

Curve = npt.NDArray[np.floating[Any]]
Needs = Literal["answers", "answer pairs", "reference pairs"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A curve over layers computed from one recording.

    Attributes:
        name: as reports print it.
        unit: "probability", "bits", ...
        needs: the kind of recording that it reads; the planner provides it.
        curve: recording -> [T, S] (or [T, L] for transitions, [T, 1] for a single value).
    """

    name: str
    unit: str
    needs: Needs
    curve: Callable[[Any], Curve] = field(repr=False, compare=False)


def _emitted_minus_distractor(trace: Trace) -> Curve:
    return trace.probability - trace.distractor


def _image_advantage(pair: PairedTrace) -> Curve:
    base, other = pair.log2_probability.astype(np.float64)
    # A probability that underflowed to zero carries no more than the smallest float32 does.
    floor = float(np.log2(np.finfo(np.float32).tiny))
    difference = np.maximum(base, floor) - np.maximum(other, floor)
    return cast(Curve, difference[:, None])


token_probability = Metric(
    "probability of the emitted token", "probability", "answers", lambda t: t.probability
)
nucleus_mass = Metric("nucleus mass", "probability", "answers", lambda t: t.nucleus_mass)
neighbour_divergence = Metric(
    "JSD between neighbouring states", "bits", "answers", lambda t: t.divergence
)
token_lead = Metric(
    "emitted minus distractor probability", "probability", "answers", _emitted_minus_distractor
)
image_divergence = Metric(
    "JSD between own image and another probe's image",
    "bits",
    "answer pairs",
    lambda p: p.divergence,
)
image_advantage = Metric(
    "log2 likelihood ratio of the reference answer, own image over another probe's",
    "bits per token",
    "reference pairs",
    _image_advantage,
)
