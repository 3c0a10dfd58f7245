"""Reading the feature level: where tokens fan out, and the guitar of many images as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import numpy.typing as npt

from lvlm_audit.errors import TraceError
from lvlm_audit.metrics.fanout import MAX_NECK, fan_out
from lvlm_audit.metrics.geometry import mean_of_pairs, pairwise_angles, spread
from lvlm_audit.metrics.nodes import SHALLOW
from lvlm_audit.stages.arrays import matrix
from lvlm_audit.stages.levels import TRANSFER, too_little
from lvlm_audit.stages.readings import (
    FAN_OUT,
    INCONCLUSIVE,
    NO_PATTERN,
    NOT_MEASURED,
    Floats,
    LevelReading,
    NodeEstimate,
)
from lvlm_audit.stages.summary import Images
from lvlm_audit.statistics import MIN_IMAGES, Spread
from lvlm_audit.traces.features import FeatureTrace

Features = Sequence[FeatureTrace] | npt.ArrayLike

_NARROW = f"the spread never goes from one width to {1 / MAX_NECK:g} times that"

RESAMPLES = 1000
"""Of the images of a guitar; each one is fitted anew."""

MIN_SUPPORT = 0.8
"""Share of resamples that must show a fan-out too, where the guitar has one."""


def feature_level(
    features: Features | None,
    common_step: Sequence[FeatureTrace] | None,
    blocks: int | None,
    confidence: float,
    seed: int,
) -> tuple[LevelReading, int]:
    """The feature level: the state where images or tokens fan out (docs/method.md#nodes).

    The paper's critical layer is the border of the images' guitar, so it is read off the images where
    they fan out, and off the tokens of single answers where they do not.

    Args:
        features: as `find_stages` takes them.
        common_step: as `find_stages` takes them.
        blocks: L of the other levels, if there are any.
        confidence: of the interval.
        seed: of the resampling.

    Returns:
        The reading, and L.

    Raises:
        TraceError: several depths, or an array that is not [images, L+1] of finite numbers.
    """
    tokens, depth = None, blocks
    if features is not None:
        tokens, depth = _token_level(features, blocks, confidence, seed)
    if not common_step:
        assert tokens is not None
        assert depth is not None
        return tokens, depth
    found = guitar(common_step, confidence=confidence, seed=seed)
    own = len(found.spread) - 1
    # Tokens that could not be measured have no depth of their own.
    if depth and depth != own:
        raise TraceError(
            f"find_stages: the common step has {own} blocks, the rest {depth}. Give one model's."
        )
    return _joined(tokens, found), own


def _joined(tokens: LevelReading | None, images: Guitar) -> LevelReading:
    if images.fan_out is not None:
        node = NodeEstimate(float(images.fan_out), images.fan_out_spread, None, 0.0)
        evidence = images.evidence if tokens is None else f"{images.evidence} {tokens.evidence}"
        return LevelReading("feature", FAN_OUT, evidence, critical=node)
    if tokens is None or not tokens.measured:
        return LevelReading("feature", images.pattern, images.evidence)
    return replace(tokens, evidence=f"{tokens.evidence} Images at one step: {images.evidence}")


def _token_level(
    features: Features, blocks: int | None, confidence: float, seed: int
) -> tuple[LevelReading, int]:
    recorded = _recorded(features)
    if recorded is not None:
        _, curves = token_spread(recorded)
        # The first and the last state may be undefined: they are not read.
        curves = curves[np.isfinite(curves[:, 1:-1]).all(axis=1)]
    else:
        curves = matrix("features", cast(npt.ArrayLike, features), "images, L+1")
    depth = curves.shape[1] - 1
    if blocks is not None and len(curves) and depth != blocks:
        raise TraceError(
            f"find_stages: features have {depth} blocks, the other levels {blocks}. Give one model's."
        )
    if not len(curves):
        few = "No answer has two eligible tokens whose spread could be measured."
        return LevelReading("feature", NOT_MEASURED, few), max(depth, 0)
    images = Images(np.arange(len(curves)), depth, confidence, seed)
    return read_feature(curves, images), depth


def _recorded(features: Features) -> list[FeatureTrace] | None:
    """Features as recordings, or None where they are an array."""
    if isinstance(features, np.ndarray) or not isinstance(features, Sequence):
        return None
    found = [one for one in features if isinstance(one, FeatureTrace)]
    return found if len(found) == len(features) else None


def token_spread(traces: Sequence[FeatureTrace]) -> tuple[list[str], Floats]:
    """How widely the eligible tokens of each image's answers lie apart.

    Args:
        traces: recorded answers of one model; those with fewer than two eligible tokens have no spread.

    Returns:
        The images, and [images, S] mean pairwise angular distance; the mean over an image's answers.

    Raises:
        TraceError: traces of several depths.
    """
    depths = sorted({t.blocks for t in traces})
    if len(depths) > 1:
        raise TraceError(
            f"find_stages: features of {' and '.join(map(str, depths))} blocks cannot be read "
            f"together. Give the features of one model."
        )
    by_image: dict[str, list[Floats]] = {}
    for one in traces:
        if np.count_nonzero(one.eligible) > 1:
            by_image.setdefault(one.asked.cluster, []).append(spread(one.features[one.eligible]))
    states = depths[0] + 1 if depths else 0
    curves = [np.mean(rows, axis=0) for rows in by_image.values()]
    return list(by_image), np.stack(curves) if curves else np.empty((0, states))


def read_feature(curves: Floats, images: Images) -> LevelReading:
    """The feature level: one image, many tokens.

    Args:
        curves: [I, S] spread of each image's tokens.
        images: of these rows, one a row.
    """
    fit = fan_out(curves)
    node = images.node(fit.state)

    def reading(pattern: str, evidence: str) -> LevelReading:
        # Where no image has the node, the evidence says so: its share is of images, not of tokens.
        found = None if node.state is None else node
        return LevelReading("feature", pattern, evidence, critical=found)

    early = too_little(images)
    if early is not None:
        return reading(*early)
    if node.state is None or node.undefined > 0.5:
        return reading(
            NO_PATTERN,
            f"In {node.undefined:.0%} of {images.count} images the tokens of the answer do not fan out: "
            f"{_NARROW}.",
        )
    flaw = fit.common_flaw()
    if flaw is not None:
        return reading(
            NO_PATTERN,
            f"The spread of an answer's tokens grows, but in more than half of {images.count} images "
            f"{flaw}.",
        )
    transfer = images.transfer(fit.state)
    if transfer < TRANSFER:
        return reading(
            NO_PATTERN,
            f"The fan-out found on one half of the images lies elsewhere in the other: only "
            f"{transfer:.0%} of its images have it within {images.slack:.3g} states (at least "
            f"{TRANSFER:.0%}).",
        )
    has = ~np.isnan(fit.state)
    closes = fit.closes[has]
    again = (
        f" In {np.mean(~np.isnan(closes)):.0%} of these images it narrows again before the end."
        if np.isfinite(closes).any()
        else ""
    )
    return reading(
        FAN_OUT,
        f"The tokens of an answer fan out at state {node.state:g} of {images.blocks}: their mean "
        f"pairwise angle grows from {np.median(fit.neck[has]):.2g} to {np.median(fit.body[has]):.2g} in "
        f"{np.mean(has):.0%} of {images.count} images; located on one half of the images, it lies within "
        f"{images.slack:.3g} states of there in {transfer:.0%} of the other half.{again}",
    )


@dataclass(frozen=True, slots=True, eq=False)
class Guitar:
    """Many images, one token: how widely images lie apart at one common step.

    Attributes:
        pattern: "fan-out", "no such pattern" or "inconclusive".
        evidence: in words.
        spread: [S] mean pairwise angular distance.
        low: [S] lower end of its interval over images; NaN below 5.
        high: [S] upper end.
        neck: mean spread before the fan-out; None where there is none.
        body: mean spread after it; None where there is none.
        neck_spread: interval of the neck, over the resamples that fan out.
        body_spread: the same of the body.
        fan_out: first state of the body; None where there is none.
        fan_out_spread: interval of that state.
        support: share of resamples of the images that fan out.
        images: how many.
    """

    pattern: str
    evidence: str
    spread: Floats
    low: Floats
    high: Floats
    neck: float | None
    body: float | None
    neck_spread: Spread | None
    body_spread: Spread | None
    fan_out: int | None
    fan_out_spread: Spread | None
    support: float
    images: int


def guitar(traces: Sequence[FeatureTrace], *, confidence: float = 0.95, seed: int = 0) -> Guitar:
    """State the paper's guitar as numbers: neck, body, and the state between them.

    Images are resampled, and every resample is fitted anew. A neck that is not at most half as wide as the
    body, a gradual widening, or a step that fewer than 80 % of the resamples show is no guitar.

    Args:
        traces: as from `record_common_step`: one token of each image, at the same step.
        confidence: of the intervals.
        seed: of the resampling.

    Raises:
        TraceError: no image, one of several tokens, or several depths.
    """
    shapes = {t.features.shape for t in traces}
    if len(shapes) != 1 or next(iter(shapes))[0] != 1:
        raise TraceError(
            f"a guitar needs one token of each image, of one model; got features of shapes "
            f"{sorted(shapes)}. Record them with record_common_step."
        )
    count = len({t.asked.cluster for t in traces})
    angles = pairwise_angles(np.concatenate([t.features for t in traces]))
    curve = mean_of_pairs(angles, np.ones((1, len(traces))))
    blocks = curve.shape[1] - 1
    nothing = np.full(blocks + 1, np.nan)

    def without(pattern: str, evidence: str, low: Floats, high: Floats, support: float) -> Guitar:
        none = (None,) * 6
        return Guitar(pattern, evidence, curve[0], low, high, *none, support, count)

    if count < MIN_IMAGES:
        some = "1 image is" if count == 1 else f"{count} images are"
        few = f"{some} too few to tell (at least {MIN_IMAGES} are needed)."
        return without(INCONCLUSIVE, few, nothing, nothing, 0.0)
    draws = np.random.default_rng(seed).multinomial(
        len(traces), np.full(len(traces), 1 / len(traces)), size=RESAMPLES
    )
    again = mean_of_pairs(angles, draws.astype(np.float64))
    again = again[np.isfinite(again).all(axis=1)]
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(again, tails, axis=0) if len(again) else (nothing, nothing)
    whole, fits = fan_out(curve), fan_out(again)
    held = fits.clear
    support = float(held.mean()) if len(held) else 0.0
    if blocks < SHALLOW:
        shallow = f"{blocks} blocks are too shallow to divide (below {SHALLOW})."
        return without(NO_PATTERN, shallow, low, high, support)
    if not whole.clear[0]:
        why = whole.common_flaw() or _NARROW
        no = f"No guitar: the spread of {count} images has no neck and body; {why}."
        return without(NO_PATTERN, no, low, high, support)
    if support < MIN_SUPPORT:
        unsure = (
            f"The spread of {count} images looks like a neck and a body, but only {support:.0%} of "
            f"resamples of the images do (at least {MIN_SUPPORT:.0%}): it rests on a few of them."
        )
        return without(NO_PATTERN, unsure, low, high, support)

    def interval(values: npt.NDArray[np.float64]) -> Spread:
        ends = np.quantile(values[held], tails)
        return Spread(float(ends[0]), float(ends[1]), confidence, "cluster bootstrap")

    state, neck, body = int(whole.state[0]), float(whole.neck[0]), float(whole.body[0])
    closed = whole.closes[0]
    narrows = "" if np.isnan(closed) else f" It narrows again at state {closed:g}."
    return Guitar(
        pattern=FAN_OUT,
        evidence=(
            f"A guitar: {count} images share a neck (mean pairwise angle {neck:.2g}) up to state "
            f"{state - 1} and fan out at state {state} of {blocks} (body {body:.2g}); {support:.0%} of "
            f"resamples of the images fan out too. A neck is at most {MAX_NECK:.0%} as wide as the "
            f"body.{narrows}"
        ),
        spread=curve[0],
        low=low,
        high=high,
        neck=neck,
        body=body,
        neck_spread=interval(fits.neck),
        body_spread=interval(fits.body),
        fan_out=state,
        fan_out_spread=interval(fits.state),
        support=support,
        images=count,
    )
