"""Looks: a quarter of the images, half of them, all of them, until nothing that decides is undecided."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from lvlm_audit.auditing.gather import Gathered
from lvlm_audit.auditing.judged import Judged
from lvlm_audit.auditing.run import Asking
from lvlm_audit.comparing.held import Held
from lvlm_audit.document import Outcome, Severity, Verdict
from lvlm_audit.engine.local import LocalEngine
from lvlm_audit.engine.protocol import Engine, Facts, Made
from lvlm_audit.errors import CannotJudge
from lvlm_audit.gating.foretold import lacks
from lvlm_audit.interventions.named import Skip
from lvlm_audit.notes import distinct
from lvlm_audit.probes.controlled import BY_PROMPT
from lvlm_audit.probes.fingerprint import fingerprint
from lvlm_audit.probes.probe import Probe
from lvlm_audit.progress import OnProgress, Step
from lvlm_audit.recordings.common_step import COMMON_STEP
from lvlm_audit.recordings.evidence import Evidence, Recorded
from lvlm_audit.recordings.feature_maps import FEATURE_MAPS
from lvlm_audit.recordings.features import FEATURES
from lvlm_audit.recordings.job import Work
from lvlm_audit.recordings.text_answers import TEXT_ANSWERS
from lvlm_audit.settings.gate import Gate
from lvlm_audit.spec.judge import ALPHA
from lvlm_audit.statistics import MIN_IMAGES

LOOKS = 3
"""At most; the images that are asked by then: a quarter, half, all."""

_OF_THE_SET = (FEATURES.name, COMMON_STEP.name, FEATURE_MAPS.name)
"""Recordings of a few probes that stand for their set: those of the largest part are kept."""


def parts_of(probes: Sequence[Probe], seed: int) -> list[list[Probe]]:
    """What each look adds: images in an order drawn by the seed, all probes of an image together.

    A look at fewer than `MIN_IMAGES` images could decide nothing, and is left out.
    """
    images = sorted({probe.cluster for probe in probes})
    # By content, so that the order of a file changes nothing.
    random.Random(seed).shuffle(images)
    count = len(images)
    ends = sorted({-(-count // 4), -(-count // 2), count})
    ends = [end for end in ends if end >= MIN_IMAGES or end == count]
    chosen = [set(images[a:b]) for a, b in zip([0, *ends], ends, strict=False)]
    return [[probe for probe in probes if probe.cluster in part] for part in chosen]


def judged_in_looks(
    asked: Asking, gate: Gate, held: Held | None, *, on_progress: OnProgress | None = None
) -> Judged:
    """Ask more images as long as a deciding check is undecided, at declared sizes.

    Each look judges at its share of the error rate. By Bonferroni's bound a run that may stop at any of them
    errs no more often than one look at the whole rate would, however much the looks depend on each other.

    Args:
        asked: the suite and the model.
        gate: what fails.
        held: what the model is held against.
        on_progress: called while recording.

    Raises:
        CannotJudge: these two audits can decide nothing.
        LvlmAuditError: whatever stands in the way; the message says what to do.
    """
    # Where prompts are the unit, images are no sample that could grow.
    by_prompt = asked.settings.control in BY_PROMPT
    parts = [list(asked.probes)] if by_prompt else parts_of(asked.probes, asked.settings.seed)
    total = len({probe.cluster for probe in asked.probes})
    never = {check.name for check in asked.suite.checks if lacks(check, asked.probes)}
    order = [probe.id for probe in asked.probes]
    gathered: list[Gathered] = []
    with _opened_once(asked, on_progress) as engine:
        for number, part in enumerate(parts, start=1):
            images = len({probe.cluster for one in parts[:number] for probe in one})
            if len(parts) > 1:
                Step(on_progress, f"look {number} of {len(parts)}: {images} of {total} images")
            # A set that is asked at once is the set, and what other runs recorded of it is found.
            some = part if len(parts) > 1 else None
            gathered.append(asked.gather(some, engine=engine, on_progress=on_progress))
            judged = asked.judge(
                merged(gathered, order), gate=gate, held=held, alpha=ALPHA / len(parts)
            )
            judged = dataclasses.replace(
                judged, looks=number, looks_planned=len(parts), images_planned=total
            )
            if held is not None:
                judged = judged.compare(held)
            if number == len(parts) or not _goes_on(judged, never):
                break
    if impossible := judged.decision().impossible:
        raise CannotJudge(impossible)
    return judged


def _goes_on(judged: Judged, never: Collection[str]) -> bool:
    """Whether more images may decide what is open, or cannot be judged yet.

    Args:
        judged: after this look.
        never: checks that no number of these images would decide.
    """
    decision = judged.decision()
    if any(one.mismatch for one in judged.compared) and decision.impossible:
        return False
    waiting = {
        change.check
        for one in judged.compared
        for change in one.changes
        if change.severity is Severity.ERROR
        and change.outcome is Outcome.NOT_COMPARED
        and change.before is not None
    }
    if judged.gate.failing in ("absolute", "both"):
        waiting |= {
            f.check
            for f in judged.findings
            if f.severity is Severity.ERROR
            and f.verdict is Verdict.NOT_APPLICABLE
            and f.bound.value is not None
        }
    return bool(decision.impossible or decision.undecided or waiting - set(never))


def merged(parts: Sequence[Gathered], order: Sequence[str]) -> Gathered:
    """The evidence of several parts of a probe set as evidence of one.

    Args:
        parts: in the order in which they were asked.
        order: ids of the whole set.
    """
    first, *rest = parts
    if not rest:
        return first
    place = {name: number for number, name in enumerate(order)}
    probes = sorted((p for one in parts for p in one.probes), key=lambda p: place[p.id])
    return dataclasses.replace(
        first,
        evidence={
            lens: Evidence(lens, _recorded([one.evidence[lens] for one in parts], place))
            for lens in first.evidence
        },
        provenance={
            **first.provenance,
            "probes": fingerprint(probes),
            "traces_reused": all(one.provenance["traces_reused"] for one in parts),
            "recording_seconds": round(sum(o.provenance["recording_seconds"] for o in parts), 2),
        },
        notes=distinct(note for one in parts for note in one.notes),
        probes=probes,
    )


def _recorded(
    parts: Sequence[Evidence], place: Mapping[str, int]
) -> dict[tuple[str, Skip | None], Recorded[Any]]:
    largest = max(parts, key=lambda part: len(part.traces))
    found: dict[tuple[str, Skip | None], Recorded[Any]] = {}
    for key in dict.fromkeys(key for part in parts for key in part.recorded):
        kind, skip = key
        if kind in _OF_THE_SET:
            found[key] = largest.named(kind, skip)
            continue
        items = [item for part in parts for item in part.named(kind, skip).items]
        if kind == TEXT_ANSWERS.name:
            # Each distinct prompt once; several parts ask it.
            items = list({item.asked.cluster: item for item in reversed(items)}.values())
        reasons = dict.fromkeys(part.named(kind, skip).reason for part in parts)
        found[key] = Recorded(
            tuple(sorted(items, key=lambda item: place.get(item.asked.id, len(place)))),
            " ".join(filter(None, reasons)),
        )
    return found


class _Kept:
    """An engine that stays open from look to look: a model is opened once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def open(self) -> None:
        self._engine.open()

    def facts(self) -> Facts:
        return self._engine.facts()

    def make(self, work: Work) -> Made:
        return self._engine.make(work)

    def close(self) -> None:
        """Whoever made it closes it after the last look."""


@contextmanager
def _opened_once(asked: Asking, on_progress: OnProgress | None) -> Iterator[Engine]:
    engine = LocalEngine(asked.settings, asked.checkpoint, on_progress=on_progress)
    try:
        yield _Kept(engine)
    finally:
        engine.close()
