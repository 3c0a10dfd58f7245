"""Common step: every image's states at the step where answers to the commonest prompt begin to differ."""

from __future__ import annotations

from collections.abc import Sequence

from lvlm_audit.probes.others import distinct_images
from lvlm_audit.recordings.answers import ANSWERS
from lvlm_audit.recordings.job import Job
from lvlm_audit.recordings.kind import Kind, when
from lvlm_audit.traces.common import common_step
from lvlm_audit.traces.features import FeatureTrace

MAX_COMMON_IMAGES = 24
"""Images that are asked the common question; the paper has 12."""


def make(job: Job) -> Sequence[FeatureTrace]:
    """Every image at the step where the answers to the commonest prompt begin to differ."""
    from lvlm_audit.traces.feature_recorder import record_common_step

    images = distinct_images(job.shown.probes)[:MAX_COMMON_IMAGES]
    if not images:
        return []
    transcript, prefix = common_step(job.recorded(ANSWERS))
    question = next(probe for probe in job.shown.probes if probe.transcript == transcript)
    return record_common_step(
        job.model,
        images,
        prompt=question.prompt,
        turns=question.turns,
        prefix=prefix,
        batch_size=job.settings.batch_size,
        on_progress=job.progress("asking every image one question"),
    )


COMMON_STEP = Kind(
    name="common step",
    item=FeatureTrace,
    make=make,
    after=("answers",),
    wanted=lambda asked: when(asked.states),
    through_lens=False,
    absent="no probe shows an image",
)
