"""A first look at what an audit is used for. Nominations only: nothing here certifies anything."""

from __future__ import annotations

import numpy as np

from lvlm_audit.compression.plateau import stabilization, transitions
from lvlm_audit.document import Nomination, Reversal, Uses, rounded
from lvlm_audit.metrics.nodes import late_mutations
from lvlm_audit.readings.answers import margin, text_of
from lvlm_audit.recordings.evidence import Evidence
from lvlm_audit.stages import RISE_AND_PLATEAU, THREE_STAGES, Stages

MAX_INFLUENCE = 0.02
"""A nominated block moves the median token's distribution by at most this many bits ..."""
MIN_KEPT = 0.95
"""... and leaves this share of the leaders as they are."""
_MAX_REVERSALS = 12


def uses(evidence: Evidence, stages: Stages) -> Uses:
    """Blocks nominated for removal, and tokens that reverse late."""
    nominated, note = _removable(evidence, stages)
    reversals = _reversals(evidence)
    shown = f" The {_MAX_REVERSALS} clearest are listed." if len(reversals) > _MAX_REVERSALS else ""
    return Uses(
        removable=nominated,
        removable_note=note,
        reversals=reversals[:_MAX_REVERSALS],
        reversals_note=(
            f"{len(reversals)} eligible tokens replace a settled leader in the last quarter. There is "
            f"no base rate yet: correct tokens reverse too, so a reversal is no proof of a "
            f"hallucination.{shown}"
        ),
    )


def _removable(evidence: Evidence, stages: Stages) -> tuple[list[Nomination], str]:
    uncertified = (
        "Not certified: a plateau may nominate a block, only skipping it and measuring the output "
        "may certify it."
    )
    stage = stabilization(stages)
    if stages.pattern not in (RISE_AND_PLATEAU, THREE_STAGES) or stages.critical_layer is None:
        return [], f"No block is nominated: the answers show no plateau ({stages.pattern})."
    influence, kept = transitions(evidence.traces)
    found = [
        Nomination(int(i), rounded(float(influence[i])) or 0.0, rounded(float(kept[i])) or 0.0)
        for i in stage
        if influence[i] <= MAX_INFLUENCE and kept[i] >= MIN_KEPT
    ]
    found.sort(key=lambda n: (n.influence, -n.leader_kept))
    if not found:
        return [], (
            f"No block of the stabilization stage (blocks {stage.start} to {stage.stop - 1}) moves the median "
            f"token by at most {MAX_INFLUENCE} bit and keeps {MIN_KEPT:.0%} of the leaders."
        )
    return found, uncertified


def _reversals(evidence: Evidence) -> list[Reversal]:
    found = []
    for trace in evidence.traces:
        mutated = late_mutations(trace.leader, trace.candidate_ids, trace.candidate_probability)
        for t in np.nonzero(trace.eligible)[0]:
            for j in np.nonzero(mutated[t, : trace.blocks])[0]:
                before, after, by = margin(trace, int(t), int(j))
                found.append(
                    Reversal(
                        probe=trace.asked.id,
                        token=trace.token_texts[t],
                        position=int(t),
                        state=int(j),
                        before=text_of(trace, before),
                        after=text_of(trace, after),
                        margin=rounded(by) or 0.0,
                    )
                )
    return sorted(found, key=lambda r: -r.margin)
