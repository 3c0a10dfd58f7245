"""Rounding: the emitted tokens of a few probes fed again with other batches and threads."""

from __future__ import annotations

import random
from collections.abc import Sequence

from lvlm_audit.errors import ProbeError, RecordingError, TraceError
from lvlm_audit.metrics.tokens import last_margin
from lvlm_audit.progress import Step
from lvlm_audit.recordings.answers import ANSWERS
from lvlm_audit.recordings.job import Job
from lvlm_audit.recordings.kind import Kind, when
from lvlm_audit.traces.rounding import RoundingTrace

MAX_PROBES = 4
SEED = 0
"""Of the choice of probes; the run's own seed is of statistics, which change no recording."""


def make(job: Job) -> Sequence[RoundingTrace]:
    """A few answers' last margins, in ways that differ in rounding alone."""
    from lvlm_audit.traces.rounding_recorder import record_rounding

    chosen = few([probe.id for probe in job.shown.probes])
    probes = [probe for probe in job.shown.probes if probe.id in chosen]
    recorded = {trace.asked.id: trace for trace in job.recorded(ANSWERS)}
    answers = [recorded[probe.id] for probe in probes]
    Step(job.on_progress, "feeding a few answers again, for rounding")
    try:
        return record_rounding(
            job.model,
            probes,
            answers,
            [last_margin(trace) for trace in answers],
            batch_size=job.settings.batch_size,
        )
    except (ProbeError, RecordingError, TraceError) as error:
        # It was answered, so that memory ran out, say, in another batch: the answers stand without a floor.
        job.reasons[ROUNDING.name] = str(error)
        return []


def few(ids: Sequence[str]) -> frozenset[str]:
    """At most `MAX_PROBES` of them, at random and always the same."""
    return frozenset(random.Random(SEED).sample(sorted(ids), min(MAX_PROBES, len(ids))))


ROUNDING = Kind(
    name="rounding",
    item=RoundingTrace,
    make=make,
    after=("answers",),
    wanted=lambda asked: when(asked.states or asked.compared),
    absent="how far rounding moves a margin was not recorded",
)
