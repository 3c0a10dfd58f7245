"""How each kind of recording is made: one function a kind. Opens no model, but needs an opened one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lvlm_audit.audit.maps import feature_maps
from lvlm_audit.audit.plan import Kind, Need, Progress, Settings
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.probes.others import distinct_images, other_images
from lvlm_audit.probes.probe import Probe
from lvlm_audit.traces.common import common_step
from lvlm_audit.traces.feature_recorder import record_common_step, record_features
from lvlm_audit.traces.features import FeatureTrace
from lvlm_audit.traces.paired import iter_pairs
from lvlm_audit.traces.parts import Parts
from lvlm_audit.traces.recorder import iter_record, iter_replay
from lvlm_audit.traces.store import Item, Recording
from lvlm_audit.traces.trace import PairedTrace, Trace

OTHER_IMAGE = "another probe's image"

MAX_ANSWERS = 12
"""Images whose answer's states are kept: 156 MB for 48 tokens of a 7B model."""

MAX_COMMON_IMAGES = 24
"""Images that are asked the common question; the paper has 12."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One recording to be made.

    Attributes:
        model: opened.
        probes: to ask.
        settings: of the run.
        need: lens and kind.
        done: recordings that exist already; answers come before what is made of them.
        on_progress: called while recording.
        parts: what an earlier run left unfinished.
    """

    model: HookedModel
    probes: Sequence[Probe]
    settings: Settings
    need: Need
    done: Mapping[Need, Recording]
    on_progress: Progress
    parts: Parts

    def progress(self, what: str) -> Callable[[int, int, int], None]:
        """A recorder's progress as the run's."""
        return lambda n, total, _: self.on_progress(what, n, total)

    def answers(self) -> Sequence[Trace]:
        """The model's answers, recorded before."""
        return [item for item in self.items("answers") if isinstance(item, Trace)]

    def features(self, kind: Kind) -> Sequence[FeatureTrace]:
        """States of one kind, recorded before."""
        return [item for item in self.items(kind) if isinstance(item, FeatureTrace)]

    def items(self, kind: Kind) -> Sequence[Item]:
        """What was recorded before of one kind, through this job's lens."""
        return self.done[Need(self.need.lens, kind)].items


Items = Sequence[Item]


def make(job: Job) -> Items:
    """Make a recording of the job's kind.

    Raises:
        LvlmAuditError: probes cannot be asked, or the model fails on them; the others' are kept.
    """
    return _MAKERS[job.need.kind](job)


def _answers(job: Job) -> Items:
    settings = job.settings

    def make(missing: list[int]) -> Iterator[Trace]:
        probes = [job.probes[i] for i in missing]
        if settings.answers == "reference":
            return iter_replay(
                job.model,
                probes,
                lens=job.need.lens,
                batch_size=settings.batch_size,
                paper_index=job.need.paper_index,
                on_progress=job.progress("replaying reference answers"),
            )
        return iter_record(
            job.model,
            probes,
            max_new_tokens=settings.max_new_tokens,
            lens=job.need.lens,
            batch_size=settings.batch_size,
            paper_index=job.need.paper_index,
            on_progress=job.progress("recording answers"),
        )

    return job.parts.completed(job.probes, make)


def _answer_pairs(job: Job) -> Items:
    texts = [[int(i) for i in trace.token_ids] for trace in job.answers()]
    return _pairs(job, texts, "answer")


def _reference_pairs(job: Job) -> Items:
    return _pairs(job, [probe.answer or None for probe in job.probes], "reference")


def _pairs(
    job: Job, texts: Sequence[str | list[int] | None], text: Literal["answer", "reference"]
) -> Items:
    """Each text under its own and other images; probes without either are left out."""
    chosen = [
        (probe, said, other)
        for probe, said, other in zip(job.probes, texts, other_images(job.probes), strict=True)
        if said is not None and other is not None
    ]

    def make(missing: list[int]) -> Iterator[PairedTrace]:
        probes, said, images = zip(*(chosen[i] for i in missing), strict=True)
        return iter_pairs(
            job.model,
            probes,
            said,
            images,
            condition=OTHER_IMAGE,
            text=text,
            lens=job.need.lens,
            # A likelihood is read at the last state alone; the answer's grounding curve needs them all.
            last_state_only=text == "reference",
            batch_size=job.settings.batch_size,
            on_progress=job.progress(f"replaying {text}s with other images"),
        )

    return job.parts.completed(
        [probe for probe, _, _ in chosen],
        make,
        conditions=[[said, [i.digest() for i in images]] for _, said, images in chosen],
    )


def _features(job: Job) -> Items:
    """The states of one answer for each of the first images."""
    answers = dict(zip((p.id for p in job.probes), job.answers(), strict=True))
    first = {probe.cluster: probe for probe in reversed(job.probes)}
    chosen = [p for p in job.probes if first[p.cluster] is p][:MAX_ANSWERS]
    return record_features(
        job.model,
        chosen,
        [[int(i) for i in answers[p.id].token_ids] for p in chosen],
        batch_size=job.settings.batch_size,
        on_progress=job.progress("replaying answers for their states"),
    )


def _common_step(job: Job) -> Items:
    """Every image at the step where the answers to the commonest prompt begin to differ."""
    images = distinct_images(job.probes)[:MAX_COMMON_IMAGES]
    if not images:
        return []
    prompt, prefix = common_step(job.answers())
    return record_common_step(
        job.model,
        images,
        prompt=prompt,
        prefix=prefix,
        batch_size=job.settings.batch_size,
        on_progress=job.progress("asking every image one question"),
    )


def _feature_maps(job: Job) -> Items:
    """Pictures are kept with the recordings: t-SNE would cost every later run seconds."""
    job.on_progress("drawing maps of the states", 0, 0)
    return feature_maps(job.features("features"), job.features("common step"))


_MAKERS: Mapping[Kind, Callable[[Job], Items]] = {
    "answers": _answers,
    "answer pairs": _answer_pairs,
    "reference pairs": _reference_pairs,
    "features": _features,
    "common step": _common_step,
    "feature maps": _feature_maps,
}
