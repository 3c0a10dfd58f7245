"""Features: the hidden states of one answer for each of the first images."""

from __future__ import annotations

from collections.abc import Sequence

from lvlm_audit.recordings.answers import ANSWERS
from lvlm_audit.recordings.job import Job
from lvlm_audit.recordings.kind import Kind, when
from lvlm_audit.traces.features import FeatureTrace

MAX_ANSWERS = 12
"""Images whose answer's states are kept: 156 MB for 48 tokens of a 7B model."""


def make(job: Job) -> Sequence[FeatureTrace]:
    """The states of one answer for each of the first images."""
    from lvlm_audit.traces.feature_recorder import record_features

    answers = dict(zip((p.id for p in job.shown.probes), job.recorded(ANSWERS), strict=True))
    first = {probe.cluster: probe for probe in reversed(job.shown.probes)}
    chosen = [p for p in job.shown.probes if first[p.cluster] is p][:MAX_ANSWERS]
    return record_features(
        job.model,
        chosen,
        [[int(i) for i in answers[p.id].token_ids] for p in chosen],
        batch_size=job.settings.batch_size,
        on_progress=job.progress("replaying answers for their states"),
    )


FEATURES = Kind(
    name="features",
    item=FeatureTrace,
    make=make,
    after=("answers",),
    wanted=lambda asked: when(asked.states),
    through_lens=False,
    absent="no states were recorded",
)
