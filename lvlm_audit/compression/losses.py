"""Losses: how far a model with blocks skipped is from the whole one, as a mean over images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lvlm_audit.errors import ProbeError, TraceError
from lvlm_audit.metrics.answers import correct
from lvlm_audit.settings.pruning import Measure
from lvlm_audit.statistics import ClusterMean, cluster_mean
from lvlm_audit.traces.effects import EffectTrace

DEFINITIONS: dict[Measure, str] = {
    "kl": "mean forward KL(whole || skipped) over the tokens of the whole model's own answers",
    "disagreement": "share of the tokens of the whole model's own answers whose top-1 changes",
    "accuracy": "share of the whole model's right answers that are not right under the skipping",
}


def loss(effects: Sequence[EffectTrace], measure: Measure, *, seed: int) -> ClusterMean:
    """The loss with its bootstrap over images (clusters).

    Every token of an answer counts, the end of sequence too: where an answer ends is part of it. A right
    answer that is lost is not made good by a wrong one that happens to become right: the drop in
    accuracy is at most this loss, and a share can be bounded also where none was seen.

    Args:
        effects: of one skip set.
        measure: which loss. `accuracy` needs answers given anew under the skipping, and references.
        seed: of the resampling.

    Raises:
        ProbeError: accuracy without reference answers.
        TraceError: accuracy of effects that were only replayed, or where the whole model answers nothing
            right.
    """
    rows = [_counted(effect, measure) for effect in effects]
    clusters = sorted({effect.asked.cluster for effect in effects})
    totals = {name: np.zeros(2) for name in clusters}
    for effect, row in zip(effects, rows, strict=True):
        totals[effect.asked.cluster] += row
    table = np.array([totals[name] for name in clusters if totals[name][1]])
    if not len(table):
        raise TraceError(
            "the whole model answers none of these questions right, so that nothing could be lost: accuracy "
            "says nothing of it. Measure kl or disagreement."
        )
    return cluster_mean(
        table[:, 0],
        table[:, 1],
        support=(0.0, math.inf) if measure == "kl" else (0.0, 1.0),
        seed=seed,
        is_share=measure != "kl",
    )


def agreement(effects: Sequence[EffectTrace], *, seed: int) -> ClusterMean:
    """Share of questions that are answered with the same text, asked anew under the skipping."""
    clusters = sorted({effect.asked.cluster for effect in effects})
    same = {name: np.zeros(2) for name in clusters}
    for effect in effects:
        if effect.same_answer is None:
            raise TraceError(f"probe {effect.asked.id!r} was only replayed, not asked anew.")
        same[effect.asked.cluster] += (float(effect.same_answer), 1.0)
    table = np.array([same[name] for name in clusters])
    return cluster_mean(table[:, 0], table[:, 1], support=(0.0, 1.0), seed=seed, is_share=True)


def _counted(effect: EffectTrace, measure: Measure) -> tuple[float, float]:
    """What one answer adds to the loss, and to what it is divided by."""
    if measure == "kl":
        return float(effect.kl.sum(dtype=np.float64)), float(len(effect.kl))
    if measure == "disagreement":
        return float((~effect.agrees).sum()), float(len(effect.kl))
    if effect.asked.reference is None:
        raise ProbeError(
            f"--measure accuracy needs an answer for every probe, and {effect.asked.id!r} has none. Give it "
            f"an 'answer', or measure kl or disagreement."
        )
    if effect.answer is None:
        raise TraceError(f"probe {effect.asked.id!r} was only replayed, not asked anew.")
    before, after = (
        correct(s, effect.asked.reference) for s in (effect.base_answer, effect.answer)
    )
    return float(before and not after), float(before)
