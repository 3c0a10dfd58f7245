"""The plateau: blocks of the stabilization stage whose transition moves the lens' distribution least."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lvlm_audit.compression.nomination import Nomination, least
from lvlm_audit.stages import RISE_AND_PLATEAU, THREE_STAGES, Stages
from lvlm_audit.traces.trace import Trace

Floats = npt.NDArray[np.float64]


def transitions(traces: Sequence[Trace]) -> tuple[Floats, Floats]:
    """What each block does to the eligible tokens as the lens reads them.

    Returns:
        [L] median neighbour JSD over its transition, bits, and [L] share of leaders that it keeps; NaN
        where no token is eligible.
    """
    jsd = np.concatenate([t.divergence[t.eligible] for t in traces])
    leader = np.concatenate([t.leader[t.eligible] for t in traces])
    if not len(jsd):
        nothing = np.full(traces[0].blocks, np.nan)
        return nothing, nothing
    kept = (leader[:, 1:] == leader[:, :-1]).mean(axis=0)
    return np.median(jsd, axis=0).astype(np.float64), kept.astype(np.float64)


def stabilization(stages: Stages) -> range:
    """Blocks from the critical layer to before the first mutation; the last block is never among them.

    Empty where the answers show no plateau (docs/method.md#skipping-blocks: layers[c : m - 1]).
    """
    if stages.pattern not in (RISE_AND_PLATEAU, THREE_STAGES) or stages.critical_layer is None:
        return range(0)
    mutations = stages.mutation_layers
    last = (min(mutations) - 1) if mutations else stages.blocks - 1
    return range(stages.critical_layer, last)


def plateau(traces: Sequence[Trace], stages: Stages | None, most: int) -> Nomination:
    """Blocks of the stabilization stage in the order of their median neighbour JSD.

    Args:
        traces: of the nomination half.
        stages: located on them; None where no token is eligible to locate any.
        most: blocks of the largest set.
    """
    jsd, _ = transitions(traces)
    stage = range(0) if stages is None else stabilization(stages)
    seen = "no token is eligible" if stages is None else stages.pattern
    scores = tuple(float(v) if i in stage and np.isfinite(v) else None for i, v in enumerate(jsd))
    known = any(score is not None for score in scores)
    return Nomination(
        method="JSD plateau",
        source="this project, after arXiv 2504.02862",
        definition=(
            "median over eligible tokens of the JSD between the lens' distributions before and after the "
            "block; only blocks of the stabilization stage"
        ),
        unit="bits",
        scores=scores,
        sets=least(scores, most),
        reason="" if known else f"the answers show no stabilization stage ({seen})",
    )
