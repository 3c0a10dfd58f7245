"""Metrics: named curves over states (or transitions) of every token of one recording."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import numpy.typing as npt

from lvlm_audit.traces.trace import PairedTrace, Trace

if TYPE_CHECKING:
    from lvlm_audit.document import TokenReading

Curve = npt.NDArray[np.floating[Any]]
_SMALLEST = float(np.log2(np.finfo(np.float32).tiny))
"""log2 of the smallest normal float32, -126."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A curve over layers computed from one recording.

    Attributes:
        name: as reports print it.
        unit: "probability", "bits", ...
        needs: the kind of recording that it reads (`recordings.registry`); the planner provides it.
        curve: recording -> [T, S] (or [T, L] for transitions, [T, 1] for a single value).
        support: least and greatest value that the curve can take; what it is by definition, not what
            was seen. Intervals are bounded by it.
        optional: the optional field of `Trace` that it reads; the planner has it recorded.
        truth: it reads which words the probes' labels call right or wrong, not the model.
        logarithmic: it is a logarithm of a likelihood, so that a difference is a share of that likelihood.
        whole: it speaks of the answer as a whole: one value, whichever tokens count.
        nothing: what it says of answers in which no token has a value; empty: a sentence for all.
        read_back: a token of an earlier audit's document -> its value; None: documents do not hold it.

    Example:
        >>> metric = lvlm_audit.metrics.token_probability
        >>> metric.unit, metric.curve(trace).shape
        ('probability', (4, 13))
    """

    name: str
    unit: str
    needs: str
    curve: Callable[[Any], Curve] = field(repr=False, compare=False)
    support: tuple[float, float] = (-math.inf, math.inf)
    optional: Literal["paper_index"] | None = None
    truth: bool = False
    logarithmic: bool = False
    whole: bool = False
    nothing: str = ""
    read_back: Callable[[TokenReading], float] | None = field(
        default=None, repr=False, compare=False
    )


def _emitted_minus_distractor(trace: Trace) -> Curve:
    return trace.probability - trace.distractor


def _reference_surprisal(pair: PairedTrace) -> Curve:
    own = pair.log2_probability[0].astype(np.float64)
    return cast(Curve, -np.maximum(own, _SMALLEST)[:, None])


def _image_advantage(pair: PairedTrace) -> Curve:
    base, other = pair.log2_probability.astype(np.float64)
    # A probability that underflowed to zero carries no more than the smallest float32 does.
    difference = np.maximum(base, _SMALLEST) - np.maximum(other, _SMALLEST)
    return cast(Curve, difference[:, None])


_SHARE = (0.0, 1.0)

token_probability = Metric(
    "probability of the emitted token",
    "probability",
    "answers",
    lambda t: t.probability,
    support=_SHARE,
)
nucleus_mass = Metric(
    "nucleus mass", "probability", "answers", lambda t: t.nucleus_mass, support=_SHARE
)
# In bits, the Jensen-Shannon divergence of two distributions is at most 1 (Lin 1991).
neighbour_divergence = Metric(
    "JSD between neighbouring states",
    "bits",
    "answers",
    lambda t: t.divergence,
    support=_SHARE,
)
token_lead = Metric(
    "emitted minus distractor probability",
    "probability",
    "answers",
    _emitted_minus_distractor,
    support=(-1.0, 1.0),
)
image_divergence = Metric(
    "JSD between own image and another probe's image",
    "bits",
    "answer pairs",
    lambda p: p.divergence,
    support=_SHARE,
)
grounding = Metric(
    "JSD between own image and no image", "bits", "no-image pairs", lambda p: p.divergence
)
reference_surprisal = Metric(
    "surprisal of the reference answer under its own image",
    "bits per token",
    "reference pairs",
    _reference_surprisal,
    support=(0.0, -_SMALLEST),
    logarithmic=True,
)
image_advantage = Metric(
    "log2 likelihood ratio of the reference answer, own image over another probe's",
    "bits per token",
    "reference pairs",
    _image_advantage,
    # From the smallest normal float32 to 1, and back.
    support=(_SMALLEST, -_SMALLEST),
)
