"""Image words: what each image's own positions say of its answer's words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lvlm_audit.errors import LvlmAuditError
from lvlm_audit.recordings.answers import ANSWERS
from lvlm_audit.recordings.job import Job, reason_of
from lvlm_audit.recordings.kind import Kind, when
from lvlm_audit.traces.image_words import ImageWords


def make(job: Job) -> Sequence[ImageWords]:
    """What each image's own positions say of its answer; the prompt alone is run."""
    from lvlm_audit.traces.image_word_recorder import iter_image_words

    said = {trace.asked.id: [int(i) for i in trace.token_ids] for trace in job.recorded(ANSWERS)}
    chosen = [probe for probe in job.shown.probes if probe.images]
    if not chosen:
        job.reasons[IMAGE_WORDS.name] = "no probe shows an image"
        return []

    def read(missing: list[int]) -> Iterator[ImageWords]:
        probes = [chosen[i] for i in missing]
        return iter_image_words(
            job.model,
            probes,
            [said[probe.id] for probe in probes],
            lens=job.need.lens,
            batch_size=job.settings.batch_size,
            on_progress=job.progress("reading the images' own words"),
        )

    try:
        return job.parts.completed(
            chosen, read, conditions=[[said[probe.id], "image words"] for probe in chosen]
        )
    except LvlmAuditError as error:
        # Some models' images hold no positions. That is no failure of the audit: a signal is missing.
        job.reasons[IMAGE_WORDS.name] = reason_of(error)
        return []


IMAGE_WORDS = Kind(
    name="image words",
    item=ImageWords,
    make=make,
    after=("answers",),
    # They cost as much as all the rest, so labels alone do not ask for them: a check that reads labels does.
    wanted=lambda asked: when(asked.labels_read),
    absent="the images' own words were not read",
)
