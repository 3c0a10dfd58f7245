"""How each kind of recording is made: one function a kind. Opens no model, but needs an opened one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lvlm_audit.audit.hallucination import labelled
from lvlm_audit.audit.maps import feature_maps
from lvlm_audit.audit.plan import Kind, Need, Progress, Settings
from lvlm_audit.audit.skipping import Formed
from lvlm_audit.errors import LvlmAuditError, ProbesFailed, RecordingError
from lvlm_audit.interventions.deco import DeCo
from lvlm_audit.interventions.decoding import Intervention
from lvlm_audit.interventions.dola import DoLa
from lvlm_audit.interventions.effects import Reference, iter_effects, reference
from lvlm_audit.interventions.redecoding import iter_redecoded
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.probes.controlled import Shown, text_questions
from lvlm_audit.probes.others import Images, distinct_images
from lvlm_audit.probes.probe import Probe
from lvlm_audit.traces.common import common_step
from lvlm_audit.traces.effects import EffectTrace
from lvlm_audit.traces.feature_recorder import record_common_step, record_features
from lvlm_audit.traces.features import FeatureTrace
from lvlm_audit.traces.image_word_recorder import iter_image_words
from lvlm_audit.traces.image_words import ImageWords
from lvlm_audit.traces.paired import iter_conditions, iter_pairs
from lvlm_audit.traces.parts import Parts
from lvlm_audit.traces.recorder import iter_record, iter_replay
from lvlm_audit.traces.redecoded import Redecoded
from lvlm_audit.traces.store import Item, Recording
from lvlm_audit.traces.trace import NO_IMAGE, OTHER_IMAGE, PairedTrace, Trace

MAX_ANSWERS = 12
"""Images whose answer's states are kept: 156 MB for 48 tokens of a 7B model."""

MAX_COMMON_IMAGES = 24
"""Images that are asked the common question; the paper has 12."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One recording to be made.

    Attributes:
        model: opened.
        shown: probes to ask, and the images that each is compared with.
        settings: of the run.
        need: lens and kind.
        done: recordings that exist already; answers come before what is made of them.
        on_progress: called while recording.
        parts: what an earlier run left unfinished.
        formed: of effects, which blocks are skipped.
        shared: what recordings of one run share, by name; never stored.
        facts: filled while recording; kept beside the items.
    """

    model: HookedModel
    shown: Shown
    settings: Settings
    need: Need
    done: Mapping[Need, Recording]
    on_progress: Progress
    parts: Parts
    formed: Formed | None = None
    shared: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

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

DECODINGS: Sequence[Intervention] = (DoLa("low"), DoLa("high"), DeCo())
"""What labelled questions are asked anew under, beside skip sets, which are effects."""


def make(job: Job) -> Items:
    """Make a recording of the job's kind.

    Raises:
        LvlmAuditError: probes cannot be asked, or the model fails on them; the others' are kept.
    """
    return _MAKERS[job.need.kind](job)


def _answers(job: Job) -> Items:
    eyes = getattr(job.model.processor, "image_processor", None) is not None
    if job.settings.control == "text-only" and eyes:
        return _without_image(job, job.shown.probes, "--lvlm-control text-only")
    if job.settings.control == "text-only" or job.settings.answers == "generated":
        return _asked(job, job.shown.probes, "recording answers")

    def make(missing: list[int]) -> Iterator[Trace]:
        return iter_replay(
            job.model,
            [job.shown.probes[i] for i in missing],
            lens=job.need.lens,
            batch_size=job.settings.batch_size,
            paper_index=job.need.paper_index,
            on_progress=job.progress("replaying reference answers"),
        )

    return job.parts.completed(job.shown.probes, make)


def _text_answers(job: Job) -> Items:
    try:
        return _without_image(job, text_questions(job.shown.probes), "--lvlm-compare-llm")
    except RecordingError:
        if job.settings.compare_llm:
            raise
        # Nobody asked for them by name: errors of the language prior are then not told apart.
        return []


def _without_image(job: Job, probes: Sequence[Probe], option: str) -> Items:
    try:
        return _asked(job, probes, "recording answers without an image")
    except LvlmAuditError as error:
        raise RecordingError(
            f"{option}: this model could not be asked without an image. {_reason(error)}"
        ) from error


def _reason(error: LvlmAuditError) -> str:
    """Where every probe fails, it is the model's refusal, and the first probe's says it."""
    if isinstance(error, ProbesFailed) and len(error.failures) == error.asked:
        return str(error.failures[0][1])
    return str(error)


def _asked(job: Job, probes: Sequence[Probe], what: str) -> Items:
    def make(missing: list[int]) -> Iterator[Trace]:
        return iter_record(
            job.model,
            [probes[i] for i in missing],
            max_new_tokens=job.settings.max_new_tokens,
            lens=job.need.lens,
            batch_size=job.settings.batch_size,
            paper_index=job.need.paper_index,
            on_progress=job.progress(what),
        )

    return job.parts.completed(probes, make)


def _answer_pairs(job: Job) -> Items:
    """Each answer under no image and under another one, against one run with its own."""
    said = {trace.asked.id: [int(i) for i in trace.token_ids] for trace in job.answers()}
    chosen = [
        (probe, said[probe.id], other)
        for probe, other in zip(job.shown.probes, job.shown.others, strict=True)
        if probe.images
    ]
    if not chosen:
        job.facts["no_image_reason"] = "no probe shows an image that could be taken away"
        return []
    both = all(other is not None for _, _, other in chosen)
    # The pass that reads the answers without an image reads them with another one as well.
    read_along: dict[str, PairedTrace] = {}

    def make(missing: list[int]) -> Iterator[PairedTrace]:
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

    without: Items = []
    try:
        without = job.parts.completed(
            [probe for probe, _, _ in chosen],
            make,
            conditions=[[text, NO_IMAGE] for _, text, _ in chosen],
        )
    except LvlmAuditError as error:
        # Some processors insist on an image. That is no failure of the audit; if it was something
        # else that failed, it fails again with the other images.
        job.facts["no_image_reason"] = (
            f"the model could not be asked without an image: {_reason(error)}"
        )
    return [*without, *_pairs(job, [(p, t, o) for p, t, o in chosen if o], "answer", read_along)]


def _reference_pairs(job: Job) -> Items:
    chosen = [
        (probe, probe.answer, other)
        for probe, other in zip(job.shown.probes, job.shown.others, strict=True)
        if probe.answer and probe.images and other
    ]
    return _pairs(job, chosen, "reference", {})


def _pairs(
    job: Job,
    chosen: Sequence[tuple[Probe, str | list[int], Images]],
    text: Literal["answer", "reference"],
    read_along: Mapping[str, PairedTrace],
) -> Items:
    """Each text under its own and other images; those that were read already are taken as they are."""

    def make(missing: list[int]) -> Iterator[PairedTrace]:
        asked = [chosen[i] for i in missing]
        yield from (read_along[probe.id] for probe, _, _ in asked if probe.id in read_along)
        rest = [one for one in asked if one[0].id not in read_along]
        if not rest:
            return
        probes, said, images = zip(*rest, strict=True)
        yield from iter_pairs(
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
    answers = dict(zip((p.id for p in job.shown.probes), job.answers(), strict=True))
    first = {probe.cluster: probe for probe in reversed(job.shown.probes)}
    chosen = [p for p in job.shown.probes if first[p.cluster] is p][:MAX_ANSWERS]
    return record_features(
        job.model,
        chosen,
        [[int(i) for i in answers[p.id].token_ids] for p in chosen],
        batch_size=job.settings.batch_size,
        on_progress=job.progress("replaying answers for their states"),
    )


def _common_step(job: Job) -> Items:
    """Every image at the step where the answers to the commonest prompt begin to differ."""
    images = distinct_images(job.shown.probes)[:MAX_COMMON_IMAGES]
    if not images:
        return []
    transcript, prefix = common_step(job.answers())
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


def _effects(job: Job) -> Items:
    """The answers under a skip set, replayed and asked anew, against one run of the whole model."""
    skip, formed = job.need.skip, job.formed
    assert skip is not None
    assert formed is not None
    job.facts["reason"] = formed.reason
    chosen = [probe for probe in job.shown.probes if probe.cluster in formed.blocks]

    def make(missing: list[int]) -> Iterator[EffectTrace]:
        whole = _whole(job)
        by_set: dict[tuple[int, ...], list[str]] = {}
        for i in missing:
            by_set.setdefault(formed.blocks[chosen[i].cluster], []).append(chosen[i].id)
        for blocks, ids in by_set.items():
            yield from iter_effects(
                job.model,
                whole.of(ids),
                blocks,
                name=skip.label,
                max_new_tokens=job.settings.max_new_tokens,
                batch_size=job.settings.batch_size,
                on_progress=job.progress(f"skipping blocks ({skip.label})"),
            )

    return job.parts.completed(
        chosen, make, conditions=[list(formed.blocks[probe.cluster]) for probe in chosen]
    )


def _whole(job: Job) -> Reference:
    """What the whole model says; every skip set of a run is held against it."""
    if "whole" not in job.shared:
        job.shared["whole"] = reference(
            job.model,
            job.shown.probes,
            [[int(i) for i in trace.token_ids] for trace in job.answers()],
            batch_size=job.settings.batch_size,
            on_progress=job.progress("replaying the whole model's answers"),
        )
    found = job.shared["whole"]
    assert isinstance(found, Reference)
    return found


def _redecoded(job: Job) -> Items:
    """The labelled questions asked anew, once under each decoding."""
    chosen = [probe for probe in job.shown.probes if labelled(probe)]

    def under(intervention: Intervention) -> Items:
        def make(missing: list[int]) -> Iterator[Redecoded]:
            return iter_redecoded(
                job.model,
                [chosen[i] for i in missing],
                intervention,
                max_new_tokens=job.settings.max_new_tokens,
                batch_size=job.settings.batch_size,
                on_progress=job.progress(f"asking anew ({intervention.name})"),
            )

        conditions = [[intervention.name, intervention.description]] * len(chosen)
        return job.parts.completed(chosen, make, conditions=conditions)

    return [one for intervention in DECODINGS for one in under(intervention)]


def _feature_maps(job: Job) -> Items:
    """Pictures are kept with the recordings: t-SNE would cost every later run seconds."""
    job.on_progress("drawing maps of the states", 0, 0)
    return feature_maps(job.features("features"), job.features("common step"))


def _image_words(job: Job) -> Items:
    """What each image's own positions say of its answer; the prompt alone is run."""
    said = {trace.asked.id: [int(i) for i in trace.token_ids] for trace in job.answers()}
    chosen = [probe for probe in job.shown.probes if probe.images]
    if not chosen:
        job.facts["image_words_reason"] = "no probe shows an image"
        return []

    def make(missing: list[int]) -> Iterator[ImageWords]:
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
            chosen, make, conditions=[[said[probe.id], "image words"] for probe in chosen]
        )
    except LvlmAuditError as error:
        # Some models' images hold no positions. That is no failure of the audit: a signal is missing.
        job.facts["image_words_reason"] = _reason(error)
        return []


_MAKERS: Mapping[Kind, Callable[[Job], Items]] = {
    "answers": _answers,
    "answer pairs": _answer_pairs,
    "reference pairs": _reference_pairs,
    "features": _features,
    "common step": _common_step,
    "feature maps": _feature_maps,
    "image words": _image_words,
    "text answers": _text_answers,
    "effects": _effects,
    "redecoded": _redecoded,
}
