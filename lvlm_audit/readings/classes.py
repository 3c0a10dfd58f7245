"""Token classes compared: do content words settle later than punctuation, and mutate more often?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from lvlm_audit.document import ClassComparison, ClassMeasure, ClassValue, Interval, rounded
from lvlm_audit.metrics.nodes import CRITICAL, SETTLE, saturation, sustained_from, switches
from lvlm_audit.properties import Context, LateMutation
from lvlm_audit.statistics import ClusterMean, cluster_mean, holm_levels
from lvlm_audit.traces.trace import TokenClass, Trace

Values = npt.NDArray[np.float64]

CLASSES = (TokenClass.CONTENT, TokenClass.FUNCTION, TokenClass.COPIED, TokenClass.PUNCTUATION)
"""The classes that findings may count, content words first: the others are compared with them."""

_ALPHA = 0.025
"""One-sided, over all differences together."""
_CONFIDENCE = 0.95

_FEW_FUNCTION_WORDS, _MANY_WORDS = 0.15, 30
"""English running text has two function words in five; with less than this share among at least so many
words, the stop-word list has probably nothing to say about the answers' language."""


@dataclass(frozen=True, slots=True)
class _Measure:
    """What is compared; `of` says how an image's tokens become its value."""

    name: str
    unit: str
    meaning: str
    of: Literal["share", "median", "mean"]
    values: Callable[[Trace], Values]


def _settled(trace: Trace) -> Values:
    with np.errstate(invalid="ignore"):
        settled = sustained_from(trace.nucleus_mass, SETTLE) < trace.blocks - 1
    return settled.astype(np.float64)


def _saturated(trace: Trace) -> Values:
    with np.errstate(invalid="ignore"):
        return (saturation(trace.leader) < trace.blocks - 1).astype(np.float64)


_MEASURES = (
    _Measure(
        "settles",
        "share of tokens",
        "The nucleus mass reaches 90 % of its peak before state L-1 and stays there. Of all tokens.",
        "share",
        _settled,
    ),
    _Measure(
        "critical state",
        "state",
        "First state from which the nucleus mass stays above half of its peak. Of the tokens that "
        "have one: mean over images of the image's median token.",
        "median",
        lambda t: sustained_from(t.nucleus_mass, CRITICAL),
    ),
    _Measure(
        "settle state",
        "state",
        "First state from which the nucleus mass stays above 90 % of its peak. As above.",
        "median",
        lambda t: sustained_from(t.nucleus_mass, SETTLE),
    ),
    _Measure(
        "leader final early",
        "share of tokens",
        "The leading token no longer changes from some state before L-1 on. Of all tokens.",
        "share",
        _saturated,
    ),
    _Measure(
        "late mutation",
        "share of tokens",
        "A settled leader is replaced in the last quarter, the terminal state apart. Of the tokens "
        "whose leader settles early enough to be replaced.",
        "share",
        lambda t: LateMutation().observe(t, t.probability, Context(None)),
    ),
    _Measure(
        "churn",
        "switches",
        "Transitions at which the leading token changes, per token.",
        "mean",
        lambda t: switches(t.leader).astype(np.float64),
    ),
    _Measure(
        "terminal change",
        "share of tokens",
        "The leading token changes at the terminal transition L-1 -> L. Of all tokens.",
        "share",
        lambda t: (t.leader[:, -1] != t.leader[:, -2]).astype(np.float64),
    ),
)

_ByImage = dict[str, Values]
"""Image -> values of its tokens of one class, those that exist."""


def compare_classes(traces: Sequence[Trace], *, seed: int = 0) -> ClassComparison:
    """Compare the eligible tokens of each class.

    Every value is estimated over images (`statistics.ClusterMean`). Content words are compared with
    each other class within the images that have both; these differences are one family (Holm).

    Args:
        traces: recorded answers of one model.
        seed: of the resampling.
    """
    blocks = traces[0].blocks
    found: list[tuple[_Measure, dict[TokenClass, _ByImage]]] = [
        (m, {c: _by_image(traces, m, c) for c in CLASSES}) for m in _MEASURES
    ]
    differences = {
        (m.name, c): estimate
        for m, values in found
        for c in CLASSES[1:]
        if (estimate := _difference(m, values[TokenClass.CONTENT], values[c], blocks, seed))
    }
    p_values = [min(e.p_value(">=", 0.0), e.p_value("<=", 0.0)) for e in differences.values()]
    # "At least 0" and "at most 0" both hold of a difference that is exactly 0 everywhere.
    p_values = [
        1.0 if e.value == 0 else p for e, p in zip(differences.values(), p_values, strict=True)
    ]
    levels = dict(
        zip(differences, holm_levels(p_values, _ALPHA, max(len(p_values), 1)), strict=True)
    )
    measures = [
        ClassMeasure(
            name=m.name,
            unit=m.unit,
            meaning=m.meaning,
            classes=[
                _value(
                    m,
                    c,
                    values[c],
                    differences.get((m.name, c)),
                    levels.get((m.name, c), _ALPHA),
                    blocks,
                    seed,
                )
                for c in CLASSES
            ],
        )
        for m, values in found
    ]
    sentences = [_sentence(m, v) for m in measures for v in m.classes if v.differs]
    return ClassComparison(
        tokens=_count(traces),
        measures=measures,
        differences=sentences,
        summary=_summary(measures, len(differences)),
        note=_note(traces),
        excluded=_excluded(traces),
    )


def _by_image(traces: Sequence[Trace], measure: _Measure, kind: TokenClass) -> _ByImage:
    found: dict[str, list[Values]] = {}
    for trace in traces:
        use = trace.eligible & np.array([c is kind for c in trace.token_classes])
        values = measure.values(trace)[use]
        values = values[~np.isnan(values)]
        if values.size:
            found.setdefault(trace.asked.cluster, []).append(values)
    return {image: np.concatenate(parts) for image, parts in sorted(found.items())}


def _support(measure: _Measure, blocks: int) -> tuple[float, float]:
    return (0.0, 1.0) if measure.of == "share" else (0.0, float(blocks))


def _estimate(measure: _Measure, images: _ByImage, blocks: int, seed: int) -> ClusterMean:
    support = _support(measure, blocks)
    if measure.of == "median":
        return cluster_mean(
            [float(np.median(v)) for v in images.values()], support=support, seed=seed
        )
    return cluster_mean(
        [float(v.sum()) for v in images.values()],
        [float(v.size) for v in images.values()],
        support=support,
        seed=seed,
        is_share=measure.of == "share",
    )


def _difference(
    measure: _Measure, content: _ByImage, other: _ByImage, blocks: int, seed: int
) -> ClusterMean | None:
    both = sorted(content.keys() & other.keys())
    if not both:
        return None
    middle = np.median if measure.of == "median" else np.mean
    top = _support(measure, blocks)[1]
    return cluster_mean(
        [float(middle(content[i]) - middle(other[i])) for i in both],
        support=(-top, top),
        seed=seed,
    )


def _value(
    measure: _Measure,
    kind: TokenClass,
    images: _ByImage,
    difference: ClusterMean | None,
    level: float,
    blocks: int,
    seed: int,
) -> ClassValue:
    tokens = sum(v.size for v in images.values())
    if not images:
        return ClassValue(kind, 0, 0, None, None)
    estimate = _estimate(measure, images, blocks, seed)
    value = ClassValue(
        kind,
        tokens,
        len(images),
        rounded(estimate.value),
        _interval(estimate, _CONFIDENCE, adjusted=False),
    )
    if difference is None:
        return value
    interval = _interval(difference, 1 - 2 * level, adjusted=True)
    return replace(
        value,
        difference=rounded(difference.value),
        difference_interval=interval,
        images_paired=difference.n,
        differs=interval.low > 0 or interval.high < 0,
    )


def _interval(estimate: ClusterMean, confidence: float, *, adjusted: bool) -> Interval:
    spread = estimate.spread(confidence)
    return Interval(spread.low, spread.high, confidence, spread.method, adjusted)


def _sentence(measure: ClassMeasure, value: ClassValue) -> str:
    assert value.difference is not None
    assert value.difference_interval is not None
    low, high = value.difference_interval.low, value.difference_interval.high
    more = "higher" if value.difference > 0 else "lower"
    size, ends = _size(abs(value.difference), measure.unit), sorted((abs(low), abs(high)))
    return (
        f"{measure.name}: content words are {more} than {_NAMES[value.kind]} by {size} "
        f"({_size(ends[0], measure.unit)} to {_size(ends[1], measure.unit)}), on "
        f"{value.images_paired} images that have both."
    )


_NAMES = {"function": "function words", "copied": "copied words", "punctuation": "punctuation"}


def _size(value: float, unit: str) -> str:
    if unit == "share of tokens":
        return f"{100 * value:.3g} percentage points"
    return f"{value:.3g} {unit if unit.endswith('s') else unit + 's'}"


def _summary(measures: Sequence[ClassMeasure], compared: int) -> str:
    if not compared:
        return "No image has content words beside another class: nothing can be compared."
    differ = {
        kind: ", ".join(m.name for m in measures for v in m.classes if v.kind == kind and v.differs)
        for kind in _NAMES
    }
    told = [f"from {_NAMES[kind]} in {names}" for kind, names in differ.items() if names]
    if not told:
        return f"None of {compared} differences lies beyond its interval: no class is told apart."
    return f"Content words differ {'; '.join(told)}. The other differences do not exceed their intervals."


def _count(traces: Sequence[Trace]) -> dict[str, int]:
    return {
        str(kind): sum(
            int((t.eligible & np.array([c is kind for c in t.token_classes])).sum()) for t in traces
        )
        for kind in CLASSES
    }


def _excluded(traces: Sequence[Trace]) -> dict[str, int]:
    total: dict[str, int] = {}
    for trace in traces:
        for reason, count in trace.exclusions().items():
            total[reason] = total.get(reason, 0) + count
    return dict(sorted(total.items()))


def _note(traces: Sequence[Trace]) -> str:
    words = [c for t in traces for c in t.token_classes if c in CLASSES[:3]]
    functional = sum(c is TokenClass.FUNCTION for c in words)
    share = functional / len(words) if words else math.nan
    text = (
        "Classes are told apart by the answer's text, the prompt's words and an English list of stop "
        "words; no parser is involved. The first piece of a word stands for it."
    )
    if len(words) >= _MANY_WORDS and share < _FEW_FUNCTION_WORDS:
        text += (
            f" Only {share:.0%} of these {len(words)} words are on the list. Where answers are not in "
            f"English, function words count as content, and comparing the two says nothing; where "
            f"they are single words, there are few to compare."
        )
    return text
