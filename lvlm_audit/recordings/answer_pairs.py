"""Answer pairs: each answer replayed under no image and under another probe's, against its own.

Three runs share one reduction, so replays without an image are no recording of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lvlm_audit.errors import LvlmAuditError
from lvlm_audit.recordings.answers import ANSWERS
from lvlm_audit.recordings.job import Job, reason_of
from lvlm_audit.recordings.kind import Kind, when
from lvlm_audit.recordings.replays import replayed_pairs
from lvlm_audit.traces.trace import NO_IMAGE, OTHER_IMAGE, PairedTrace


def make(job: Job) -> Sequence[PairedTrace]:
    """Each answer under no image and under another one, against one run with its own."""
    from lvlm_audit.traces.paired import iter_conditions

    said = {trace.asked.id: [int(i) for i in trace.token_ids] for trace in job.recorded(ANSWERS)}
    chosen = [
        (probe, said[probe.id], other)
        for probe, other in zip(job.shown.probes, job.shown.others, strict=True)
        if probe.images
    ]
    if not chosen:
        job.reasons[NO_IMAGE_PAIRS.name] = "no probe shows an image that could be taken away"
        return []
    both = all(other is not None for _, _, other in chosen)
    # The pass that reads the answers without an image reads them with another one as well.
    read_along: dict[str, PairedTrace] = {}

    def replayed(missing: list[int]) -> Iterator[PairedTrace]:
        probes, texts, others = zip(*(chosen[i] for i in missing), strict=True)
        conditions = {NO_IMAGE: [None] * len(probes), **({OTHER_IMAGE: others} if both else {})}
        for blind, *others_pair in iter_conditions(
            job.model,
            probes,
            texts,
            conditions,
            lens=job.need.lens,
            batch_size=job.settings.batch_size,
            on_progress=job.progress("replaying answers with other images"),
        ):
            read_along.update({pair.asked.id: pair for pair in others_pair})
            yield blind

    without: Sequence[PairedTrace] = []
    try:
        without = job.parts.completed(
            [probe for probe, _, _ in chosen],
            replayed,
            conditions=[[text, NO_IMAGE] for _, text, _ in chosen],
        )
    except LvlmAuditError as error:
        # Some processors insist on an image. That is no failure of the audit; if it was something
        # else that failed, it fails again with the other images.
        job.reasons[NO_IMAGE_PAIRS.name] = (
            f"the model could not be asked without an image: {reason_of(error)}"
        )
    return [
        *without,
        *replayed_pairs(job, [(p, t, o) for p, t, o in chosen if o], "answer", read_along),
    ]


ANSWER_PAIRS = Kind(
    name="answer pairs",
    item=PairedTrace,
    make=make,
    after=("answers",),
    belongs=lambda pair: pair.condition != NO_IMAGE,
    wanted=lambda asked: when(asked.states or asked.labels_read),
    absent="there is no second image to compare with",
)
NO_IMAGE_PAIRS = Kind(
    name="no-image pairs",
    item=PairedTrace,
    within="answer pairs",
    belongs=lambda pair: pair.condition == NO_IMAGE,
    absent="no probe has an image, or the model cannot be asked without one",
)
