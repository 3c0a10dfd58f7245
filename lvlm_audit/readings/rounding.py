"""How far rounding alone moves the last margin, for the document."""

from __future__ import annotations

from lvlm_audit.document import Rounding
from lvlm_audit.recordings.evidence import Evidence
from lvlm_audit.recordings.rounding import ROUNDING


def rounding_reading(evidence: Evidence) -> Rounding | None:
    """The largest difference of a margin between two runs of the same tokens; None: not recorded."""
    traces = evidence.of(ROUNDING)
    if not traces:
        return None
    return Rounding(
        # Not rounded: what lies below it is called a tie.
        floor=max(float(trace.spread.max()) for trace in traces),
        probes=len(traces),
        tokens=sum(len(trace.token_ids) for trace in traces),
        runs=list(traces[0].runs),
    )
