"""From recorded states to the document's reading of their geometry. Rounding happens here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lvlm_audit.document import (
    CommonStep,
    FeatureReading,
    Interval,
    LayerSummary,
    Plane,
    StateMap,
    rounded,
)
from lvlm_audit.document.stages import Axis
from lvlm_audit.metrics.geometry import (
    angular_distance,
    cka_to_final,
    cka_to_next,
    continuity,
    cosine_distance,
    spread,
)
from lvlm_audit.readings.answers import listed
from lvlm_audit.recordings.common_step import COMMON_STEP
from lvlm_audit.recordings.evidence import Evidence
from lvlm_audit.recordings.feature_maps import FEATURE_MAPS
from lvlm_audit.recordings.features import FEATURES
from lvlm_audit.stages import Guitar, guitar
from lvlm_audit.statistics import Spread, cluster_mean
from lvlm_audit.traces.features import FeatureMap, FeatureTrace

NOTE = (
    "Read off the states themselves, without a lens. Angles do not depend on a state's length, which grows "
    "with depth. State 0 is the embedding of the token that was read last; state L has passed the final "
    "norm, which alone turns it: neither counts towards a fan-out."
)

ANGLE = "half turns"
_SIDE = 1000

Reals = npt.NDArray[np.floating[Any]]


_CURVES: tuple[tuple[str, str, Axis, Callable[[Reals], Reals]], ...] = (
    ("spread of an answer's tokens", ANGLE, "state", spread),
    (
        "angle between neighbouring states",
        ANGLE,
        "transition",
        lambda states: angular_distance(states).mean(axis=0),
    ),
    (
        "cosine distance between neighbours",
        "1 − cos",
        "transition",
        lambda states: cosine_distance(states).mean(axis=0),
    ),
    ("debiased CKA to the next state", "CKA", "transition", cka_to_next),
    ("debiased CKA to the final state", "CKA", "state", cka_to_final),
)


def feature_reading(evidence: Evidence, *, seed: int = 0) -> FeatureReading | None:
    """The geometry of hidden states; None where no states were recorded."""
    if not evidence.of(FEATURES) and not evidence.of(COMMON_STEP):
        return None
    answers = [one for one in evidence.of(FEATURES) if one.eligible.any()]
    images: dict[str, list[Reals]] = {}
    for one in answers:
        images.setdefault(one.asked.cluster, []).append(one.features[one.eligible])
    share, interval, chance = _continuity(list(images.values()), seed)
    return FeatureReading(
        images=len(images),
        tokens=sum(int(one.eligible.sum()) for one in answers),
        curves=_curves(list(images.values())),
        continuity=share,
        continuity_interval=interval,
        continuity_chance=chance,
        common_step=_common_step(evidence.of(COMMON_STEP), seed)
        if evidence.of(COMMON_STEP)
        else None,
        maps=[_map(one) for one in evidence.of(FEATURE_MAPS)],
        note=NOTE,
    )


def _curves(images: Sequence[Sequence[Reals]]) -> list[LayerSummary]:
    """One curve an image, the mean over its answers; then quartiles over images."""
    found = []
    for name, unit, axis, curve in _CURVES:
        rows = [_mean([curve(states) for states in answers]) for answers in images]
        found.append(_quartiles(name, unit, axis, rows))
    return [summary for summary in found if summary is not None]


def _mean(curves: Sequence[Reals]) -> Reals:
    """Mean of curves at each point, of those that have a value there."""
    rows = np.stack(curves)
    known = ~np.isnan(rows)
    mean = np.full(rows.shape[1], np.nan)
    np.divide(np.nansum(rows, axis=0), known.sum(axis=0), out=mean, where=known.any(axis=0))
    return mean


def _continuity(
    images: Sequence[Sequence[Reals]], seed: int
) -> tuple[float | None, Interval | None, float | None]:
    shares, chances = [], []
    for answers in images:
        found = [c for c in map(continuity, answers) if c is not None]
        if found:
            shares.append(float(np.mean([c.share for c in found])))
            chances.append(float(np.mean([c.chance for c in found])))
    if not shares:
        return None, None, None
    mean = cluster_mean(shares, support=(0.0, 1.0), seed=seed)
    return rounded(mean.value), _interval(mean.spread(0.95)), rounded(float(np.mean(chances)))


def _common_step(traces: Sequence[FeatureTrace], seed: int) -> CommonStep:
    found: Guitar = guitar(traces, seed=seed)
    states = np.concatenate([one.features for one in traces])
    angles = angular_distance(states)
    curves = [
        LayerSummary(
            "spread of the images",
            ANGLE,
            "state",
            *map(listed, (found.spread, found.low, found.high)),
        ),
        _quartiles("angle between neighbouring states", ANGLE, "transition", [*angles]),
        _quartiles("debiased CKA to the final state", "CKA", "state", [cka_to_final(states)]),
    ]
    first = traces[0]
    return CommonStep(
        prompt=first.asked.prompt,
        prefix=first.prefix,
        images=found.images,
        pattern=found.pattern,
        evidence=found.evidence,
        words=dict(Counter(one.token_texts[0] for one in traces).most_common()),
        curves=[curve for curve in curves if curve is not None],
        neck=rounded(found.neck),
        neck_interval=_interval(found.neck_spread),
        body=rounded(found.body),
        body_interval=_interval(found.body_spread),
        fan_out=found.fan_out,
        fan_out_interval=_interval(found.fan_out_spread),
        support=rounded(found.support),
    )


def _map(one: FeatureMap) -> StateMap:
    return StateMap(
        of=one.of,
        probe=one.asked.id,
        labels=list(one.labels),
        planes=[
            _plane("PCA", f"{one.explained:.0%} of the variance", one.pca),
            _plane("t-SNE", f"perplexity {one.perplexity:.3g}", one.tsne),
        ],
    )


def _plane(method: str, note: str, points: npt.NDArray[np.float32]) -> Plane:
    """Both axes in one scale, so that the picture is not stretched."""
    low = points.min(axis=(0, 1))
    size = float(np.ptp(points, axis=(0, 1)).max()) or 1.0
    place = np.rint((points - low) / size * _SIDE).astype(int)
    return Plane(method, note, place[..., 0].tolist(), place[..., 1].tolist())


def _quartiles(name: str, unit: str, axis: Axis, curves: Sequence[Reals]) -> LayerSummary | None:
    """Quartiles over images at each point, of those that have a value there."""
    rows = np.stack(curves) if curves else np.empty((0, 0))
    if np.isnan(rows).all():
        return None
    ends: list[list[Any]] = [[], [], []]
    for column in rows.T:
        known = column[~np.isnan(column)]
        values = np.percentile(known, [25, 50, 75]) if known.size else [np.nan] * 3
        for end, value in zip(ends, values, strict=True):
            end.append(rounded(float(value)))
    low, median, high = ends
    return LayerSummary(name, unit, axis, median, low, high)


def _interval(spread: Spread | None) -> Interval | None:
    if spread is None:
        return None
    low, high = (rounded(v) or 0.0 for v in (spread.low, spread.high))
    return Interval(low, high, spread.confidence, spread.method)
