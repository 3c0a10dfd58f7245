"""Answers: what the model says to every probe, read through the lens; all else is made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lvlm_audit.recordings.job import Job
from lvlm_audit.recordings.kind import ALWAYS, Kind
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.traces.trace import Trace


def make(job: Job) -> Sequence[Trace]:
    """The model's own answers, or each probe's reference answer, replayed."""
    from lvlm_audit.traces.recorder import iter_replay

    takes_images = getattr(job.model.processor, "image_processor", None) is not None
    if job.settings.control == "text-only" and takes_images:
        return job.asked_without_image(job.shown.probes, spelled("control", "text-only"))
    if job.settings.control == "text-only" or job.settings.answers == "generated":
        return job.asked(job.shown.probes, "recording answers")

    def replayed(missing: list[int]) -> Iterator[Trace]:
        return iter_replay(
            job.model,
            [job.shown.probes[i] for i in missing],
            lens=job.need.lens,
            batch_size=job.settings.batch_size,
            paper_index=job.need.paper_index,
            on_progress=job.progress("replaying reference answers"),
        )

    return job.parts.completed(job.shown.probes, replayed)


ANSWERS = Kind(
    name="answers",
    item=Trace,
    make=make,
    wanted=lambda _: ALWAYS,
    has_index=True,
    absent="no answer was recorded",
)
