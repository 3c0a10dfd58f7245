"""Text answers: each distinct prompt asked without any image, the language model inside the model alone."""

from __future__ import annotations

from collections.abc import Sequence

from lvlm_audit.errors import RecordingError
from lvlm_audit.probes.controlled import text_questions
from lvlm_audit.recordings.job import Job
from lvlm_audit.recordings.kind import Kind, when
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.traces.trace import Trace


def make(job: Job) -> Sequence[Trace]:
    """One for each distinct prompt."""
    try:
        return job.asked_without_image(text_questions(job.shown.probes), spelled("compare_llm"))
    except RecordingError as error:
        if job.settings.compare_llm:
            raise
        # Nobody asked for them by name: errors of the language prior are then not told apart.
        job.reasons[TEXT_ANSWERS.name] = str(error)
        return []


TEXT_ANSWERS = Kind(
    name="text answers",
    item=Trace,
    make=make,
    after=("answers",),
    wanted=lambda asked: when(asked.compare_llm or asked.labels_read),
    has_index=True,
    absent="no prompt was asked without an image",
)
