"""Finding the stages: from traces or arrays to the nodes of tokens, and to readings of each level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lvlm_audit.errors import TraceError
from lvlm_audit.metrics.collapse import sustained_collapse
from lvlm_audit.metrics.nodes import (
    CRITICAL,
    ONSET,
    SETTLE,
    late_mutations,
    late_start,
    settled_run,
    sustained_from,
)
from lvlm_audit.metrics.steps import MIN_STAGE
from lvlm_audit.settings.reading import DivergenceName
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.stages.arrays import matrix
from lvlm_audit.stages.falls import read_fall
from lvlm_audit.stages.feature import Features, feature_level
from lvlm_audit.stages.levels import Needs, read_distribution, read_probability
from lvlm_audit.stages.moves import moves
from lvlm_audit.stages.readings import (
    NOT_MEASURED,
    Bools,
    Floats,
    LevelReading,
    Stages,
    TokenNodes,
)
from lvlm_audit.stages.summary import Images
from lvlm_audit.traces.features import FeatureTrace
from lvlm_audit.traces.trace import Trace

BURST = 0.5
"""A burst takes divergence this far back from its low to its high level."""

SCALED_BURST = 0.7
"""The same, and the share of raised tokens that are raised that far, where each transition was scaled by
its own maximum over tokens (the paper's view). There a quiet transition is noise blown up, which raises
many tokens by a little; a burst raises few of them a little and some all the way."""

SCALED_RAISED = 0.25
"""What counts as raised in that view, as a share of the way from low to high."""

MIN_EXPLAINED = 0.1
"""Share of variance that a token's collapse must explain here. Lower than for the single token's own
check: three quiet transitions of 80, or noise blown up by scaling, explain little of one token, and the
shape of the images' typical curves is tested besides."""


def find_stages(
    traces: Sequence[Trace] | None = None,
    *,
    probability: npt.ArrayLike | None = None,
    divergence: npt.ArrayLike | None = None,
    clusters: Sequence[Any] | npt.NDArray[Any] | None = None,
    features: Features | None = None,
    common_step: Sequence[FeatureTrace] | None = None,
    divergence_name: DivergenceName = "jsd",
    confidence: float = 0.95,
    seed: int = 0,
) -> Stages:
    """Locate critical and mutation layers, or find that there is no such pattern.

    Traces are read by docs/method.md's definitions: nucleus mass, neighbour JSD, and settled leaders that
    are replaced in the last quarter. Arrays have no leaders. There a token mutates where its curve falls
    below what it had kept since its rise, wherever in depth that is, and a plateau between rise and mutation
    may be as short as `MIN_STAGE` states. A later gain is no mutation but more of the rise: the plateau
    begins after it. Divergence alone has no direction, so there a burst of a later gain looks like any other.

    Args:
        traces: recorded answers; only eligible tokens count.
        probability: [N, L+1] curves instead of traces: emitted, leading or nucleus probability.
        divergence: [N, L] neighbour divergence instead of, or beside, `probability`, in any scale.
            Values below zero, which no divergence has, are taken for noise around zero.
        clusters: [N] image of each row; without it every row counts as an image of its own.
        features: states of answers, as from `record_features`, or the spread of each image's tokens
            [images, L+1] (`stages.token_spread`); beside traces or arrays, or alone.
        common_step: states of many images at one step, as from `record_common_step`. The feature level is
            read off these images where they fan out, else off `features`; without either it is not
            measured.
        divergence_name: of traces, which divergence the distribution level reads: JSD, or the published
            code's `paper_index` where it was recorded. Every test on this level is relative to the
            curve's own early height, so the unit does not matter.
        confidence: of the intervals.
        seed: of the resampling.

    Returns:
        Readings per level, nodes per token, and the leading level's pattern.

    Raises:
        TraceError: neither traces nor arrays nor features, no eligible token, shapes that do not fit, or values
            that are not finite.

    Example:
        >>> stages = lvlm_audit.find_stages(traces)
        >>> stages.pattern, stages.critical_layer
        ('rise and plateau', 6)
    """
    if traces is not None:
        if probability is not None or divergence is not None or clusters is not None:
            raise TraceError("find_stages takes traces or arrays, not both.")
        return _from_traces(traces, features, common_step, divergence_name, confidence, seed)
    curve = None if probability is None else matrix("probability", probability, "N, L+1")
    jsd = None if divergence is None else np.maximum(matrix("divergence", divergence, "N, L"), 0)
    given = curve if curve is not None else jsd
    if given is None:
        if features is None and not common_step:
            raise TraceError(
                "find_stages needs traces, probability and/or divergence arrays, or features."
            )
        return _from_features(features, common_step, confidence, seed)
    of = np.arange(len(given)) if clusters is None else np.asarray(clusters)
    paired = curve is None or jsd is None or curve.shape == (jsd.shape[0], jsd.shape[1] + 1)
    if of.shape != (len(given),) or not paired:
        raise TraceError(
            f"find_stages: probability must be [N, L+1], divergence [N, L] and clusters [N]; got "
            f"{None if curve is None else curve.shape}, {None if jsd is None else jsd.shape} "
            f"and {of.shape}."
        )
    blocks = given.shape[1] - (curve is not None)
    images = Images(of, blocks, confidence, seed)
    needs = Needs(to_the_end=settled_run(blocks), between=MIN_STAGE - 1)
    feature = _feature(features, common_step, images)
    return _stages(curve, jsd, images, needs, name="Probability", feature=feature)


def _feature(
    features: Features | None, common_step: Sequence[FeatureTrace] | None, images: Images
) -> LevelReading | None:
    """The feature level beside the others; None where nothing of it was given."""
    if features is None and not common_step:
        return None
    return feature_level(features, common_step, images.blocks, images.confidence, images.seed)[0]


def _from_features(
    features: Features | None,
    common_step: Sequence[FeatureTrace] | None,
    confidence: float,
    seed: int,
) -> Stages:
    level, blocks = feature_level(features, common_step, None, confidence, seed)
    nothing = np.empty(0)
    not_measured = {
        name: LevelReading(name, NOT_MEASURED, "This level was not measured.")
        for name in ("probability", "distribution")
    }
    return Stages(
        blocks=blocks,
        by_level={**not_measured, "feature": level},
        per_token=TokenNodes(*(nothing,) * 4, np.empty((0, blocks + 1), dtype=bool)),
        mutation_share=np.zeros(blocks + 1),
        terminal_share=None,
        levels_agree=None,
        leading="feature",
    )


def _from_traces(
    traces: Sequence[Trace],
    features: Features | None,
    common_step: Sequence[FeatureTrace] | None,
    divergence_name: DivergenceName,
    confidence: float,
    seed: int,
) -> Stages:
    counted = [t for t in traces if t.eligible.any()]
    if not counted:
        raise TraceError(
            "no eligible token in any answer: nothing to locate stages on. Ask questions whose "
            f"answers have words, or raise {spelled('max_new_tokens')}."
        )
    depths = sorted({t.blocks for t in counted})
    if len(depths) > 1:
        raise TraceError(
            f"find_stages: traces of {' and '.join(map(str, depths))} blocks cannot be read together. "
            f"Give the traces of one model."
        )
    curve = np.concatenate([t.nucleus_mass[t.eligible] for t in counted]).astype(np.float64)
    jsd = np.concatenate(
        [t.between_neighbours(divergence_name)[t.eligible] for t in counted]
    ).astype(np.float64)
    of = np.concatenate([np.repeat(t.asked.cluster, t.eligible.sum()) for t in counted])
    mutated = np.concatenate(
        [
            late_mutations(t.leader, t.candidate_ids, t.candidate_probability)[t.eligible]
            for t in counted
        ]
    )
    leader = np.concatenate([t.leader[t.eligible] for t in counted])
    same_leader = np.ones(leader.shape, dtype=bool)
    same_leader[:, 1:] = leader[:, 1:] == leader[:, :-1]
    run = settled_run(depths[0])
    images = Images(of, depths[0], confidence, seed)
    return _stages(
        curve,
        jsd,
        images,
        Needs(run, run),
        name="Nucleus mass",
        mutated=mutated,
        same_leader=same_leader,
        feature=_feature(features, common_step, images),
    )


def _stages(
    curve: Floats | None,
    jsd: Floats | None,
    images: Images,
    needs: Needs,
    *,
    name: str,
    mutated: Bools | None = None,
    same_leader: Bools | None = None,
    feature: LevelReading | None = None,
) -> Stages:
    """Read every level; `mutated` and `same_leader` hold what leaders say where there are leaders."""
    blocks = images.blocks
    # Traces are held to the last quarter (docs/method.md#late-mutation); arrays to what they show.
    earliest = 0 if mutated is None else late_start(blocks)
    missing = np.full(len(images.of), np.nan)
    nodes = dict.fromkeys(("onset", "critical", "settle"), missing)
    collapse = missing
    by_level = {
        level: LevelReading(level, NOT_MEASURED, "This level was not measured.")
        for level in ("probability", "distribution", "feature")
    }
    if feature is not None:
        by_level["feature"] = feature
    moved = None if curve is None else moves(curve)
    bursts: Bools | None = None
    fall: LevelReading | None = None
    if jsd is not None:
        collapse, bursts = _collapse_and_bursts(jsd, earliest)
        if moved is not None:
            # Divergence has no direction. The curve beside it has, and a later gain is no mutation.
            bursts &= ~(moved.gained if same_leader is None else moved.gained & same_leader)
        by_level["distribution"] = read_distribution(jsd, collapse, bursts, images, needs)
        fall = read_fall(jsd, images)
    if curve is not None and moved is not None:
        ends = None
        if mutated is None:
            mutated, ends = moved.lowered, moved.ends
        nodes = {
            node: sustained_from(curve, fraction, ends)
            for node, fraction in (("onset", ONSET), ("critical", CRITICAL), ("settle", SETTLE))
        }
        by_level["probability"] = read_probability(
            curve, nodes, mutated, moved.gained, images, needs, name
        )
    if mutated is None:
        assert bursts is not None
        mutated = bursts
    share = mutated.mean(axis=0)
    found = [s for s in (r.critical_state for r in by_level.values()) if s is not None]
    return Stages(
        blocks=blocks,
        by_level=by_level,
        per_token=TokenNodes(nodes["onset"], nodes["critical"], nodes["settle"], collapse, mutated),
        mutation_share=np.where(np.arange(blocks + 1) < blocks, share, 0.0),
        terminal_share=float(share[blocks]),
        fall=fall,
        levels_agree=(max(found) - min(found) <= images.slack) if len(found) > 1 else None,
        leading="probability" if curve is not None else "distribution",
    )


def _collapse_and_bursts(jsd: Floats, earliest: int) -> tuple[Floats, Bools]:
    """Where each token's divergence collapses [N]; the states that bursts lead to [N, L+1]."""
    tops = jsd.max(axis=0)
    scaled = len(jsd) > 1 and float(np.ptp(tops)) <= 1e-6 * float(tops.max())
    fit = sustained_collapse(jsd, min_explained=MIN_EXPLAINED)
    way = (jsd - fit.low[:, None]) / np.maximum(fit.high - fit.low, np.finfo(float).tiny)[:, None]
    high = way >= (SCALED_BURST if scaled else BURST)
    if scaled:
        raised = np.count_nonzero(way >= SCALED_RAISED, axis=0)
        high &= np.count_nonzero(high, axis=0) >= SCALED_BURST * raised
    states = np.arange(jsd.shape[1] + 1)[None, :]
    # At least MIN_STAGE states lie between the collapse and a burst.
    first = np.where(np.isnan(fit.state), np.inf, fit.state + MIN_STAGE)[:, None]
    bursts = np.zeros((len(jsd), jsd.shape[1] + 1), dtype=bool)
    bursts[:, 1:] = high
    return fit.state, bursts & (states >= np.maximum(first, earliest))
