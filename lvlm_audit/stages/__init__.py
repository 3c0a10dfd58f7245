"""Stages: where knowledge forms, holds and changes again, with evidence, or that there is no pattern.

METHOD.md, "Two nodes, three stages" and "Our definitions". NumPy and SciPy only. Every level of
evidence is read by itself and reported beside the others; whether they agree is a finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lvlm_audit.errors import TraceError
from lvlm_audit.metrics.collapse import sustained_collapse
from lvlm_audit.metrics.nodes import (
    CRITICAL,
    MIN_PEAK,
    ONSET,
    SETTLE,
    SHALLOW,
    late_mutations,
    late_start,
    settled_run,
    sustained_from,
)
from lvlm_audit.statistics import (
    MIN_IMAGES,
    Spread,
    bootstrap_median,
    fold_of,
    median_over_images,
)
from lvlm_audit.traces.trace import Trace

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

AGREEMENT = 0.15
"""Critical layers of two levels agree when they lie within this share of the depth."""
MUTATION_QUORUM = 0.10
"""A state is a mutation layer of the model when this share of eligible tokens mutates there."""
MAX_WIDTH = 0.20
"""A rise from 25 % to 75 % of its height that takes more than this share of the depth is a ramp."""
MAX_DRIFT = 0.25
"""On a plateau the curve moves by at most this share of its rise."""
TRANSFER = 0.5
"""Share of the held-out half's tokens that must show the step at the node found on the other half."""

NO_PATTERN = "no such pattern"
RISE_ONLY = "rise only"
RISE_AND_PLATEAU = "rise and plateau"
THREE_STAGES = "three stages"
INCONCLUSIVE = "inconclusive"
NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class NodeEstimate:
    """A node located on tokens and summarised over images.

    Attributes:
        state: median over images of per-image medians; None where no token has it.
        spread: bootstrap interval over images; the full range below 5 images.
        iqr: interquartile range over images, in states.
        undefined: share of tokens for which the node does not exist.
    """

    state: float | None
    spread: Spread | None
    iqr: float | None
    undefined: float


@dataclass(frozen=True, slots=True)
class LevelReading:
    """What one level of evidence says."""

    name: str
    pattern: str
    evidence: str
    onset: NodeEstimate | None = None
    critical: NodeEstimate | None = None
    settle: NodeEstimate | None = None
    mutation_states: tuple[int, ...] = ()

    @property
    def measured(self) -> bool:
        """Whether this level was looked at."""
        return self.pattern != NOT_MEASURED


@dataclass(frozen=True, slots=True, eq=False)
class TokenNodes:
    """Nodes of every token, in the order of the rows that were given; NaN where undefined."""

    onset: Floats
    critical: Floats
    settle: Floats
    collapse: Floats
    """Critical state by the distribution level."""
    mutated: Bools
    """[N, S] states at which the token mutates late; column L is the terminal transition."""


@dataclass(frozen=True, slots=True, eq=False)
class Stages:
    """The stages of a model as located on its answers.

    Attributes:
        blocks: L.
        by_level: readings under "probability", "distribution" and "feature".
        per_token: nodes of each eligible token.
        mutation_share: [S] share of tokens that mutate at each state; 0 before the last quarter.
        terminal_share: share of tokens whose settled leader is replaced at L-1 -> L.
        levels_agree: None unless two levels found a critical layer.
    """

    blocks: int
    by_level: dict[str, LevelReading]
    per_token: TokenNodes
    mutation_share: Floats
    terminal_share: float | None
    levels_agree: bool | None
    leading: str = field(default="probability")

    @property
    def pattern(self) -> str:
        """The pattern of the leading level."""
        return self.by_level[self.leading].pattern

    @property
    def evidence(self) -> str:
        """The leading level's evidence, in words."""
        return self.by_level[self.leading].evidence

    @property
    def critical_layer(self) -> int | None:
        """State at which the rapid evolution ends, or None where there is no such pattern."""
        reading = self.by_level[self.leading]
        if reading.pattern in (NO_PATTERN, INCONCLUSIVE) or reading.critical is None:
            return None
        state = reading.critical.state
        return None if state is None else int(np.floor(state + 0.5))

    @property
    def mutation_layers(self) -> tuple[int, ...]:
        """States at which at least 10 % of tokens mutate, terminal transition not counted."""
        reading = self.by_level[self.leading]
        return reading.mutation_states if reading.pattern == THREE_STAGES else ()


def find_stages(
    traces: Sequence[Trace] | None = None,
    *,
    probability: npt.ArrayLike | None = None,
    divergence: npt.ArrayLike | None = None,
    clusters: Sequence[Any] | npt.NDArray[Any] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Stages:
    """Locate critical and mutation layers, or find that there is no such pattern.

    Args:
        traces: recorded answers; eligible tokens are read through nucleus mass and neighbour JSD.
        probability: [N, L+1] curves instead of traces: emitted, leading or nucleus probability.
        divergence: [N, L] neighbour divergence instead of, or beside, `probability`, in any scale.
        clusters: [N] image of each row; without it every row counts as an image of its own.
        confidence: of the intervals.
        seed: of the resampling.

    Returns:
        Readings per level, nodes per token, and the leading level's pattern.

    Raises:
        TraceError: neither traces nor arrays, no eligible token, or shapes that do not fit.
    """
    mutated: Bools | None = None
    if traces is not None:
        if probability is not None or divergence is not None or clusters is not None:
            raise TraceError("find_stages takes traces or arrays, not both.")
        curve, jsd, images, mutated = _rows(traces)
    else:
        curve = None if probability is None else _matrix("probability", probability)
        jsd = None if divergence is None else _matrix("divergence", divergence)
        given = curve if curve is not None else jsd
        if given is None:
            raise TraceError("find_stages needs traces, or probability and/or divergence arrays.")
        images = np.arange(len(given)) if clusters is None else np.asarray(clusters)
        if len(images) != len(given) or (
            curve is not None
            and jsd is not None
            and curve.shape != (jsd.shape[0], jsd.shape[1] + 1)
        ):
            raise TraceError(
                f"find_stages: probability must be [N, L+1], divergence [N, L] and clusters [N]; got "
                f"{None if curve is None else curve.shape}, {None if jsd is None else jsd.shape} "
                f"and {images.shape}."
            )
    rows = len(images)
    if curve is not None:
        blocks = curve.shape[1] - 1
    else:
        assert jsd is not None
        blocks = jsd.shape[1]

    missing = np.full(rows, np.nan)
    onset = critical = settle = collapse = missing
    share: Floats = np.zeros(blocks + 1)
    by_level = {
        name: LevelReading(name, NOT_MEASURED, "This level was not measured.")
        for name in ("probability", "distribution", "feature")
    }
    summary = _Summary(images, confidence, seed, blocks)

    if jsd is not None:
        fit = sustained_collapse(jsd)
        collapse = fit.state
        bursts = _bursts(jsd, fit.state, fit.high, fit.low)
        by_level["distribution"] = _distribution_level(jsd, fit.state, bursts, summary)
        if mutated is None and curve is None:
            mutated = bursts
    if curve is not None:
        onset, critical, settle = (_rise_node(curve, f) for f in (ONSET, CRITICAL, SETTLE))
        if mutated is None:
            mutated = _late_steps(curve, critical)
        by_level["probability"] = _probability_level(
            curve, onset, critical, settle, mutated, summary
        )
    assert mutated is not None
    share = mutated.mean(axis=0)
    found = [
        r.critical.state
        for r in by_level.values()
        if r.critical is not None
        and r.critical.state is not None
        and r.pattern not in (NO_PATTERN, INCONCLUSIVE)
    ]
    return Stages(
        blocks=blocks,
        by_level=by_level,
        per_token=TokenNodes(onset, critical, settle, collapse, mutated),
        mutation_share=np.where(np.arange(blocks + 1) < blocks, share, 0.0),
        terminal_share=float(share[blocks]),
        levels_agree=(max(found) - min(found) <= AGREEMENT * blocks) if len(found) > 1 else None,
        leading="probability" if curve is not None else "distribution",
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Summary:
    """How token values become a model's value: medians over images of per-image medians."""

    images: npt.NDArray[Any]
    confidence: float
    seed: int
    blocks: int

    @property
    def count(self) -> int:
        return len(np.unique(self.images))

    def node(self, states: Floats) -> NodeEstimate:
        undefined = float(np.isnan(states).mean())
        _, medians = median_over_images(states, self.images)
        if not medians.size:
            return NodeEstimate(None, None, None, undefined)
        spread = bootstrap_median(medians, confidence=self.confidence, seed=self.seed)
        if spread is None:
            spread = Spread(0.0, float(self.blocks), self.confidence, "full range")
        low, high = np.percentile(medians, [25, 75])
        return NodeEstimate(float(np.median(medians)), spread, float(high - low), undefined)

    def median(self, values: Floats) -> float:
        return float(np.median(median_over_images(values, self.images)[1]))


def _matrix(name: str, value: npt.ArrayLike) -> Floats:
    array = np.asarray(value, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] < 1 or array.shape[1] < 2:
        raise TraceError(f"find_stages: {name} must be two-dimensional, not {array.shape}.")
    if not np.isfinite(array).all():
        raise TraceError(f"find_stages: {name} holds NaN or infinite values.")
    return array


def _rows(traces: Sequence[Trace]) -> tuple[Floats, Floats, npt.NDArray[Any], Bools]:
    """Eligible tokens of all traces as rows."""
    counted = [t for t in traces if t.eligible.any()]
    if not counted:
        raise TraceError(
            "no eligible token in any answer: nothing to locate stages on. Ask questions whose "
            "answers have words, or raise --lvlm-max-new-tokens."
        )
    curve = np.concatenate([t.nucleus_mass[t.eligible] for t in counted]).astype(np.float64)
    jsd = np.concatenate([t.divergence[t.eligible] for t in counted]).astype(np.float64)
    images = np.concatenate([np.repeat(t.asked.cluster, t.eligible.sum()) for t in counted])
    mutated = np.concatenate(
        [
            late_mutations(t.leader, t.candidate_ids, t.candidate_probability)[t.eligible]
            for t in counted
        ]
    )
    return curve, jsd, images, mutated


def _rise_node(curve: Floats, fraction: float) -> Floats:
    """As `sustained_from`, except that a late fall may end the stay.

    A token that mutates in the last quarter has risen all the same: its node is the first state from
    which it stays above up to the last quarter. Where there is none, the stay must reach the end.
    """
    late = late_start(curve.shape[1] - 1)
    before = sustained_from(curve[:, :late], fraction)
    held = late - before >= settled_run(curve.shape[1] - 1)
    # The peak is the whole curve's, not the shortened one's.
    peak = curve.max(axis=1)
    reached = curve[:, :late].max(axis=1) >= (1 - MAX_DRIFT) * peak
    early = held & reached & (peak >= MIN_PEAK)
    return np.where(early, before, sustained_from(curve, fraction))


def _late_steps(curve: Floats, critical: Floats) -> Bools:
    """Late changes of a curve that has no leaders: it leaves its plateau by more than the drift."""
    blocks = curve.shape[1] - 1
    late = late_start(blocks)
    mutated = np.zeros(curve.shape, dtype=bool)
    for i in np.nonzero(~np.isnan(critical))[0]:
        start = int(critical[i])
        plateau = curve[i, start : max(late, start + 1)]
        level, height = float(np.median(plateau)), float(curve[i].max())
        if late - start < settled_run(blocks):
            continue
        away = np.abs(curve[i] - level) > 2 * MAX_DRIFT * height
        mutated[i, late:] = away[late:] & ~away[late - 1 : -1]
    return mutated


def _bursts(jsd: Floats, collapse: Floats, high: Floats, low: Floats) -> Bools:
    """Late transitions whose divergence rises half-way back to its early height."""
    rows, blocks = jsd.shape
    mutated = np.zeros((rows, blocks + 1), dtype=bool)
    late = late_start(blocks)
    bar = low + 0.5 * (high - low)
    mutated[:, 1:] = jsd >= bar[:, None]
    mutated[:, :late] = False
    mutated[np.isnan(collapse)] = False
    mutated[~np.isnan(collapse) & (np.nan_to_num(collapse) >= late - settled_run(blocks) + 1)] = (
        False
    )
    return mutated


def _mutation_states(mutated: Bools) -> tuple[int, ...]:
    blocks = mutated.shape[1] - 1
    return tuple(
        int(j) for j in np.nonzero(mutated.mean(axis=0) >= MUTATION_QUORUM)[0] if j < blocks
    )


def _probability_level(
    curve: Floats,
    onset: Floats,
    critical: Floats,
    settle: Floats,
    mutated: Bools,
    summary: _Summary,
) -> LevelReading:
    blocks = summary.blocks
    nodes = {
        "onset": summary.node(onset),
        "critical": summary.node(critical),
        "settle": summary.node(settle),
    }
    late = _mutation_states(mutated)

    def reading(pattern: str, evidence: str) -> LevelReading:
        return LevelReading(
            "probability",
            pattern,
            evidence,
            nodes["onset"],
            nodes["critical"],
            nodes["settle"],
            late if pattern == THREE_STAGES else (),
        )

    if blocks < SHALLOW:
        return reading(NO_PATTERN, f"{blocks} blocks are too shallow to divide (below {SHALLOW}).")
    centre = nodes["critical"]
    if centre.state is None or centre.undefined > 0.5:
        return reading(
            NO_PATTERN,
            f"{centre.undefined:.0%} of tokens never rise to a level that they keep.",
        )
    width = _rise_node(curve, 0.75) - _rise_node(curve, 0.25)
    typical = summary.median(width)
    if typical > MAX_WIDTH * blocks:
        return reading(
            NO_PATTERN,
            f"The rise is a ramp: from 25 % to 75 % of its height it takes {typical:g} of "
            f"{blocks} transitions (a stage needs at most {MAX_WIDTH:.0%} of the depth).",
        )
    if centre.state < 1:
        return reading(NO_PATTERN, "Tokens are probable from state 0 on: there is no rise.")
    if summary.count < MIN_IMAGES:
        return reading(
            INCONCLUSIVE,
            f"{summary.count} images are too few to tell (at least {MIN_IMAGES}): full range.",
        )
    transfer = _step_transfers(curve, critical, width, summary)
    if min(transfer) < TRANSFER:
        return reading(
            NO_PATTERN,
            f"The critical state found on one half of the images shows a step in only "
            f"{min(transfer):.0%} of the other half's tokens.",
        )
    rise = (
        f"Nucleus mass rises around state {centre.state:g} of {blocks} "
        f"(25 % to 75 % within {typical:g} states); located on one half of the images, the step is "
        f"seen in {min(transfer):.0%} of the other half's tokens."
    )
    length, drift = _plateau(curve, critical, mutated, summary)
    if length < settled_run(blocks):
        return reading(
            RISE_ONLY,
            rise + f" No plateau: {max(length, 0):g} states are left between the rise and the last "
            f"transition, {settled_run(blocks)} are needed.",
        )
    if drift > MAX_DRIFT:
        return reading(
            RISE_ONLY, rise + f" No plateau: after the rise it still moves by {drift:.0%}."
        )
    plateau = f" It then holds for {length:g} states (drift {drift:.0%})."
    if not late:
        return reading(
            RISE_AND_PLATEAU,
            rise + plateau + " No state of the last quarter is a mutation layer.",
        )
    return reading(
        THREE_STAGES,
        rise + plateau + f" At least {MUTATION_QUORUM:.0%} of tokens mutate at states "
        f"{', '.join(map(str, late))}.",
    )


def _step_transfers(
    curve: Floats, critical: Floats, width: Floats, summary: _Summary
) -> list[float]:
    """Share of one half's tokens that step up where the other half's critical state is, both ways."""
    fold = fold_of(summary.images)
    shares = []
    for half in (0, 1):
        there, here = fold == half, fold != half
        if np.isnan(critical[there]).all() or not here.any():
            return [0.0]
        _, medians = median_over_images(critical[there], summary.images[there])
        node = float(np.median(medians))
        slack = max(1.0, float(np.nanmedian(width[there])))
        before = max(1, int(np.floor(node - slack)))
        after = min(summary.blocks, int(np.ceil(node + slack)))
        late = max(late_start(summary.blocks), after + 1)
        step = curve[here, after:late].mean(axis=1) - curve[here, :before].mean(axis=1)
        height = np.maximum(curve[here].max(axis=1), MIN_PEAK)
        shares.append(float((step >= 0.5 * height).mean()))
    return shares


def _plateau(
    curve: Floats, critical: Floats, mutated: Bools, summary: _Summary
) -> tuple[float, float]:
    """Length in states and drift (share of the peak) between the rise and the first late change."""
    blocks = summary.blocks
    lengths, drifts = np.full(len(curve), np.nan), np.full(len(curve), np.nan)
    top = _rise_node(curve, 0.75)
    for i in np.nonzero(~np.isnan(top))[0]:
        changed = np.nonzero(mutated[i])[0]
        end = min(int(changed[0]) if len(changed) else blocks, blocks)
        window = curve[i, int(top[i]) : end]
        lengths[i] = len(window)
        if len(window) >= 2:
            third = max(1, len(window) // 3)
            shift = abs(float(window[-third:].mean() - window[:third].mean()))
            drifts[i] = shift / max(float(curve[i].max()), MIN_PEAK)
    drift = summary.median(drifts) if not np.isnan(drifts).all() else np.inf
    return summary.median(lengths) if not np.isnan(lengths).all() else 0.0, drift


def _distribution_level(
    jsd: Floats, collapse: Floats, bursts: Bools, summary: _Summary
) -> LevelReading:
    blocks = summary.blocks
    node = summary.node(collapse)
    late = _mutation_states(bursts)

    def reading(pattern: str, evidence: str) -> LevelReading:
        return LevelReading(
            "distribution",
            pattern,
            evidence,
            critical=node,
            mutation_states=late if pattern == THREE_STAGES else (),
        )

    if blocks < SHALLOW:
        return reading(NO_PATTERN, f"{blocks} blocks are too shallow to divide (below {SHALLOW}).")
    if node.state is None or node.undefined > 0.5:
        return reading(
            NO_PATTERN,
            f"Neighbour divergence shows no sustained collapse in {node.undefined:.0%} of tokens.",
        )
    if summary.count < MIN_IMAGES:
        return reading(
            INCONCLUSIVE,
            f"{summary.count} images are too few to tell (at least {MIN_IMAGES}): full range.",
        )
    transfer = _collapse_transfers(jsd, collapse, summary)
    if min(transfer) < TRANSFER:
        return reading(
            NO_PATTERN,
            f"The collapse found on one half of the images is seen in only {min(transfer):.0%} of "
            f"the other half's tokens.",
        )
    fall = (
        f"Neighbour divergence collapses at state {node.state:g} of {blocks}; located on one half of "
        f"the images, the fall is seen in {min(transfer):.0%} of the other half's tokens."
    )
    length = blocks - 1 - node.state if not late else min(late) - 1 - node.state
    if length < settled_run(blocks):
        return reading(
            RISE_ONLY, fall + f" Only {max(length, 0):g} quiet transitions follow: no plateau."
        )
    if not late:
        return reading(RISE_AND_PLATEAU, fall + " No burst in the last quarter.")
    return reading(
        THREE_STAGES, fall + f" Bursts at states {', '.join(map(str, late))} of the last quarter."
    )


def _collapse_transfers(jsd: Floats, collapse: Floats, summary: _Summary) -> list[float]:
    fold = fold_of(summary.images)
    late = late_start(summary.blocks)
    shares = []
    for half in (0, 1):
        there, here = fold == half, fold != half
        if np.isnan(collapse[there]).all() or not here.any():
            return [0.0]
        _, medians = median_over_images(collapse[there], summary.images[there])
        node = int(np.floor(float(np.median(medians)) + 0.5))
        before = jsd[here, :node].mean(axis=1)
        after = jsd[here, node : max(late - 1, node + 1)].mean(axis=1)
        shares.append(float((after <= 0.5 * before).mean()))
    return shares
