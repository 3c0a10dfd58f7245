"""From effect traces to the document's table of skip sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from lvlm_audit.document import (
    BlockSet,
    Quantity,
    SideBySide,
    SkipEffect,
    SkipReading,
    rounded,
)
from lvlm_audit.interventions.named import Skip
from lvlm_audit.metrics.answers import correct
from lvlm_audit.readings.answers import interval_of
from lvlm_audit.recordings.evidence import Evidence, Recorded
from lvlm_audit.statistics import cluster_mean
from lvlm_audit.traces.effects import EffectTrace

CONFIDENCE = 0.95
MAX_SHOWN = 24
_SHARE = (0.0, 1.0)

_STATEMENTS = {
    "skip.1": "the stabilization blocks",
    "skip.2": "the mutation blocks",
    "skip.3": "from the critical layer to before the last blocks",
}
NOTE = (
    "A skipped block passes the residual stream through unchanged; everything else goes on. The whole model's "
    "answers are replayed without the blocks and compared token by token at the last state, and the questions "
    "are asked anew. Nodes are located on one half of the images and their set is measured on the other. Sets "
    "at the paper's depth take LLaVA-1.5-7B's critical layer (20 of 32) and mutation layers (26 to 31) as a "
    "share of this model's depth: they exist for every model and say nothing about its own stages."
)

Values = Callable[[EffectTrace], Sequence[float]]


def skip_reading(evidence: Evidence, *, seed: int = 0) -> SkipReading | None:
    """Every skip set of the evidence; None where none was asked for."""
    if not evidence.effects:
        return None
    ordered = sorted(evidence.effects.items(), key=lambda one: (one[0].at, one[0].label))
    return SkipReading(NOTE, [_effect(skip, effects, seed) for skip, effects in ordered])


def _effect(skip: Skip, effects: Recorded[EffectTrace], seed: int) -> SkipEffect:
    items = effects.items
    statement = _STATEMENTS.get(str(skip.which), "blocks that the check names")
    if not items:
        return SkipEffect(skip.label, statement, [], effects.reason)
    images = {item.asked.cluster: item.blocks for item in items}
    sets = Counter(images.values())
    asked = [item for item in items if item.same_answer is not None]
    referenced = [item for item in asked if item.asked.reference]
    changed = [item for item in asked if not item.same_answer]
    whole = [_right(item, item.base_answer) for item in referenced]
    skipped = [_right(item, item.answer) for item in referenced]
    return SkipEffect(
        name=skip.label,
        statement=statement,
        sets=[BlockSet(list(blocks), n) for blocks, n in sorted(sets.items())],
        reason=effects.reason,
        images=len(images),
        tokens=int(sum(item.eligible.sum() for item in items)),
        kl=_mean(items, lambda e: e.kl[e.eligible].tolist(), (0.0, np.inf), seed),
        divergence=_mean(items, lambda e: e.divergence[e.eligible].tolist(), _SHARE, seed),
        leader_kept=_mean(
            items,
            lambda e: e.agrees[e.eligible].astype(float).tolist(),
            _SHARE,
            seed,
            is_share=True,
        ),
        answers_kept=_mean(
            asked, lambda e: [float(bool(e.same_answer))], _SHARE, seed, is_share=True
        ),
        accuracy_whole=rounded(float(np.mean(whole))) if whole else None,
        accuracy_skipped=rounded(float(np.mean(skipped))) if skipped else None,
        accuracy_change=_mean(referenced, _gained, (-1.0, 1.0), seed),
        referenced=len(referenced),
        changed=[
            SideBySide(item.asked.id, item.base_answer, str(item.answer))
            for item in changed[:MAX_SHOWN]
        ],
        changed_count=len(changed),
    )


def _mean(
    items: Sequence[EffectTrace],
    values: Values,
    support: tuple[float, float],
    seed: int,
    *,
    is_share: bool = False,
) -> Quantity | None:
    """Mean over all tokens (or answers), resampled by image."""
    by_image: dict[str, list[float]] = {}
    for item in items:
        by_image.setdefault(item.asked.cluster, []).extend(values(item))
    kept = [row for row in by_image.values() if row]
    if not kept:
        return None
    estimate = cluster_mean(
        [float(np.sum(row)) for row in kept],
        [float(len(row)) for row in kept],
        support=support,
        seed=seed,
        is_share=is_share,
    )
    spread = estimate.spread(CONFIDENCE)
    # JSON knows no infinity: fewer than five images leave a divergence without an upper end.
    interval = interval_of(spread) if np.isfinite(spread.high) else None
    return Quantity(rounded(estimate.value), interval)


def _right(effect: EffectTrace, answer: str | None) -> float:
    return float(correct(str(answer), str(effect.asked.reference)))


def _gained(effect: EffectTrace) -> list[float]:
    """Whether the answer is right when asked anew, minus whether the whole model's is."""
    return [_right(effect, effect.answer) - _right(effect, effect.base_answer)]
