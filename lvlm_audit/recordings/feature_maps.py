"""Feature maps: pictures of one answer's states, and of many images' at a common step, within bounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lvlm_audit.metrics.maps import Maps, draw_maps
from lvlm_audit.progress import Step
from lvlm_audit.recordings.common_step import COMMON_STEP
from lvlm_audit.recordings.features import FEATURES
from lvlm_audit.recordings.job import Job
from lvlm_audit.recordings.kind import Kind, when
from lvlm_audit.traces.features import FeatureMap, FeatureTrace

MAX_POINTS = 600
"""States on one map: t-SNE takes two seconds for them, and the page fifty kilobytes."""


def feature_maps(
    answers: Sequence[FeatureTrace], images: Sequence[FeatureTrace]
) -> list[FeatureMap]:
    """Pictures of one answer's tokens, and of many images at one step.

    Args:
        answers: whole answers; the one with the most eligible tokens is drawn.
        images: one token each, at a common step.

    Returns:
        At most two maps; none of states that cannot be drawn.
    """
    return [m for m in (_tokens(answers), _images(images)) if m is not None]


def _tokens(answers: Sequence[FeatureTrace]) -> FeatureMap | None:
    if not answers:
        return None
    longest = max(answers, key=lambda one: int(one.eligible.sum()))
    chosen = longest.eligible.nonzero()[0][: _rows(longest)]
    labels = [longest.token_texts[t] for t in chosen]
    return _map(longest, "tokens", labels, draw_maps(longest.features[chosen]))


def _images(images: Sequence[FeatureTrace]) -> FeatureMap | None:
    if not images:
        return None
    chosen = images[: _rows(images[0])]
    states = np.concatenate([one.features for one in chosen])
    return _map(chosen[0], "images", [one.token_texts[0] for one in chosen], draw_maps(states))


def _rows(one: FeatureTrace) -> int:
    return max(2, MAX_POINTS // (one.blocks + 1))


def _map(
    first: FeatureTrace, of: str, labels: Sequence[str], maps: Maps | None
) -> FeatureMap | None:
    if maps is None:
        return None
    return FeatureMap(
        asked=first.asked,
        of=of,
        labels=tuple(labels),
        pca=maps.pca.astype(np.float32),
        explained=maps.explained,
        tsne=maps.tsne.astype(np.float32),
        perplexity=maps.perplexity,
    )


def make(job: Job) -> Sequence[FeatureMap]:
    """Pictures are kept with the recordings: t-SNE would cost every later run seconds."""
    Step(job.on_progress, "drawing maps of the states")
    return feature_maps(job.recorded(FEATURES), job.recorded(COMMON_STEP))


FEATURE_MAPS = Kind(
    name="feature maps",
    item=FeatureMap,
    make=make,
    after=("features", "common step"),
    wanted=lambda asked: when(asked.states),
    through_lens=False,
    absent="no states were recorded",
)
