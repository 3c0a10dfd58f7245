"""How each kind of recording is made: one function a kind. Opens no model, but needs an opened one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lvlm_audit.audit.plan import Need, Progress, Settings
from lvlm_audit.metrics.curves import Needs
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.probes.others import other_images
from lvlm_audit.probes.probe import Probe
from lvlm_audit.traces.paired import iter_pairs
from lvlm_audit.traces.parts import Parts
from lvlm_audit.traces.recorder import iter_record, iter_replay
from lvlm_audit.traces.store import Recording
from lvlm_audit.traces.trace import PairedTrace, Trace

OTHER_IMAGE = "another probe's image"


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
        items = self.done[Need(self.need.lens, "answers")].items
        return [item for item in items if isinstance(item, Trace)]


Items = Sequence[Trace | PairedTrace]


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


_MAKERS: Mapping[Needs, Callable[[Job], Items]] = {
    "answers": _answers,
    "answer pairs": _answer_pairs,
    "reference pairs": _reference_pairs,
}
