"""Gathering evidence: out of the store where it was recorded before, else by asking the model.

The model is opened only when something has to be recorded; nothing here imports torch before that.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import logging
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lvlm_audit.auditing.keeping import Keeper, digest_of
from lvlm_audit.cache import cache_dir
from lvlm_audit.engine.local import LocalEngine
from lvlm_audit.engine.protocol import Engine
from lvlm_audit.errors import ModelBroken, ProbeError
from lvlm_audit.interventions.named import Skip
from lvlm_audit.lenses.registry import content_key
from lvlm_audit.models.aliases import Checkpoint
from lvlm_audit.models.identity import fingerprint as model_fingerprint
from lvlm_audit.models.identity import is_here, packages_of
from lvlm_audit.models.in_memory import InMemory
from lvlm_audit.notes import Note, distinct
from lvlm_audit.probes.controlled import Shown, under_control
from lvlm_audit.probes.fingerprint import fingerprint as probes_fingerprint
from lvlm_audit.probes.probe import Probe, Probes
from lvlm_audit.progress import OnProgress, Progress
from lvlm_audit.recordings.answers import ANSWERS
from lvlm_audit.recordings.evidence import Evidence, Recorded, split
from lvlm_audit.recordings.job import Work
from lvlm_audit.recordings.need import Need
from lvlm_audit.recordings.registry import KINDS
from lvlm_audit.recordings.skip_sets import SkippedBlocks, form
from lvlm_audit.settings.audit import Settings
from lvlm_audit.settings.reading import LensName
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.traces import store
from lvlm_audit.traces.parts import Parts
from lvlm_audit.traces.trace import SCHEMA_VERSION, Trace
from lvlm_audit.version import __version__

if TYPE_CHECKING:
    from lvlm_audit.models.hooked import HookedModel


_log = logging.getLogger(__name__)

WHOLE = "probes_whole"
"""Of the provenance: content key of the set that the probes are a part of; absent where they are the set."""


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """Evidence by lens, and what is known about how it was made."""

    evidence: Mapping[LensName, Evidence]
    subject: Mapping[str, Any]
    """Facts about the model, as `describe` gives them."""
    provenance: Mapping[str, Any]
    resolved: str
    """Hub id or folder name of the checkpoint."""
    notes: tuple[Note, ...] = ()
    """What opening the checkpoint and reading the probes left out, or used otherwise than given."""
    probes: Sequence[Probe] = ()
    """As they were asked: under a control, what was really shown."""
    fed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What the model is fed beside the probes, by value."""


def gather(
    settings: Settings,
    needs: Sequence[Need],
    checkpoint: Checkpoint | InMemory,
    probes: Sequence[Probe],
    *,
    among: Sequence[Probe] | None = None,
    keep: bool = True,
    model: HookedModel | None = None,
    engine: Engine | None = None,
    on_progress: OnProgress | None = None,
) -> Gathered:
    """Provide every needed recording, reusing what the store holds.

    Args:
        settings: what was asked for.
        needs: which recordings, each after those that it is made of.
        checkpoint: of the model, or the model itself.
        probes: what is asked.
        among: the set that they are a part of: each is held against the other image that it has there; None:
            they are the set.
        keep: without it nothing is taken out of the store, and nothing kept in it.
        model: the checkpoint opened already, which the caller closes; None: it is opened if something
            has to be recorded, and closed.
        engine: who computes; None: this process. It is closed at the end.
        on_progress: called with what is being done.

    Raises:
        LvlmAuditError: the model cannot be opened, read or recorded; the message says why.
        ProbeError: reference answers are to be replayed, but probes have none.
    """
    if settings.answers == "reference":
        _require_answers(among or probes)
    whole = under_control(among or probes, settings.control)
    shown = whole if among is None else whole.of(probes)
    report = on_progress or (lambda _: None)
    keep = keep and not (isinstance(checkpoint, InMemory) and checkpoint.key is None)
    computing: Engine = engine or LocalEngine(settings, checkpoint, model=model, on_progress=report)
    read = probes.notes if isinstance(probes, Probes) else ()
    try:
        gathered = _Session(
            settings, checkpoint, shown, report, computing, keep, None if among is None else whole
        ).gather(needs)
    finally:
        computing.close()
    return dataclasses.replace(gathered, notes=distinct((*gathered.notes, *read)))


def _require_answers(probes: Sequence[Probe]) -> None:
    """All or none: leaving some out would audit another probe set than the one that was named."""
    mute = [repr(probe.id) for probe in probes if not (probe.answer or "").strip()]
    if mute:
        more = f" and {len(mute) - 8} more" if len(mute) > 8 else ""
        raise ProbeError(
            f"{spelled('answers', 'reference')} replays each probe's answer, but {len(mute)} of {len(probes)} "
            f"probes have none: {', '.join(mute[:8])}{more}. Give them an 'answer', or drop them."
        )


@dataclass(slots=True, eq=False)
class _Session:
    settings: Settings
    checkpoint: Checkpoint | InMemory
    shown: Shown
    on_progress: OnProgress
    engine: Engine
    keep: bool
    whole: Shown | None
    """What is shown of the set that the probes are a part of; None: they are the set."""
    _shared: dict[str, Any] = field(default_factory=dict)

    def gather(self, needs: Sequence[Need]) -> Gathered:
        if isinstance(self.checkpoint, Checkpoint) and not is_here(
            self.checkpoint, trust_remote_code=self.settings.trust_remote_code
        ):
            # What does not lie here has no content to be keyed by: fetch it first. A key made of its
            # name would serve an old recording once the hub holds other weights.
            self.engine.open()
            self.checkpoint = self.checkpoint.located()
        if self.keep:
            return self._gather(needs, cache_dir() / "traces")
        with tempfile.TemporaryDirectory(prefix="lvlm-audit-") as folder:
            return self._gather(needs, Path(folder))

    def _gather(self, needs: Sequence[Need], traces_folder: Path) -> Gathered:
        identity = self._identity()
        recordings: dict[Need, store.Recording] = {}
        digests: dict[LensName, str] = {}
        with Keeper(identity, self._waiting, folder=traces_folder) as keeper:
            for need in needs:
                skipped = self._skipped(need, recordings)
                reused = keeper.reused
                recordings[need] = keeper.provide(
                    _named(need, skipped),
                    _named(need),
                    partial(self._record, need, skipped, recordings),
                    made_of=digests[need.lens] if KINDS[need.kind].after else None,
                    unchanged=partial(self._check_unchanged, identity),
                )
                if need.kind == ANSWERS.name:
                    digests[need.lens] = digest_of(recordings[need])
                if keeper.reused > reused:
                    _log.info("%s (%s): out of the store", need.kind, need.lens)
                else:
                    seconds = recordings[need].facts["seconds"]
                    _log.info("%s (%s): recorded in %.1f s", need.kind, need.lens, seconds)
        lenses = dict.fromkeys(n.lens for n in needs)
        evidence = {lens: _evidence(lens, recordings) for lens in lenses}
        facts = recordings[needs[0]].facts
        notes = [Note(*n) for r in recordings.values() for n in r.facts.get("notes", ())]
        return Gathered(
            evidence=evidence,
            subject=facts["subject"],
            provenance={
                **identity,
                **_contents(lenses),
                "machine": facts.get("machine", {}),
                "traces_reused": keeper.reused == len(needs),
                "recording_seconds": round(sum(r.facts["seconds"] for r in recordings.values()), 2),
            },
            resolved=self.checkpoint.described(),
            notes=distinct((*keeper.notes, *notes)),
            fed=facts.get("fed", {}),
            probes=self.shown.probes,
        )

    def _waiting(self, what: str) -> None:
        self.on_progress(Progress(what))

    def _check_unchanged(self, identity: Mapping[str, Any]) -> None:
        """What was recorded belongs to the key only if nothing was exchanged under our hands."""
        now = self._identity()
        if now["model"] != identity["model"]:
            raise ModelBroken(
                f"files of {self.checkpoint.name!r} changed while the model was recorded, so that it is not "
                f"known which version was. Nothing was kept. Run again when nothing writes there."
            )
        if now != identity:
            raise ProbeError(
                "images of the probes changed while they were recorded, so that it is not known what was "
                "shown. Nothing was kept. Run again when nothing writes there."
            )

    def _skipped(self, need: Need, done: Mapping[Need, store.Recording]) -> SkippedBlocks | None:
        """Of effects, which blocks are skipped: located on the answers, which were recorded before."""
        if need.skip is None:
            return None
        traces = [t for t in done[Need(need.lens, "answers")].items if isinstance(t, Trace)]
        return form(need.skip, traces, seed=self.settings.seed)

    def _identity(self) -> dict[str, Any]:
        """Everything that determines the recordings; their content key."""
        s = self.settings
        return {
            "lvlm_audit": __version__,
            "torch": package_version("torch"),
            "transformers": package_version("transformers"),
            "trace_schema": SCHEMA_VERSION,
            "model": _model_key(self.checkpoint),
            "probes": probes_fingerprint(self.shown.probes),
            # Which other image a probe is held against depends on the set that it was drawn from.
            **({} if self.whole is None else {WHOLE: probes_fingerprint(self.whole.probes)}),
            # The probes hold what is shown, but not what it is compared with.
            "control": s.control,
            "device": s.device,
            "dtype": s.dtype,
            "max_new_tokens": s.max_new_tokens,
            "batch_size": s.batch_size,
            "trust_remote_code": s.trust_remote_code,
            "answers": s.answers,
            **{package: package_version(package) for package in _packages(self.checkpoint)},
        }

    def _record(
        self,
        need: Need,
        skipped: SkippedBlocks | None,
        done: Mapping[Need, store.Recording],
        parts: Parts,
    ) -> store.Recording:
        self.engine.open()
        started = time.monotonic()
        made = self.engine.make(
            Work(
                shown=self.shown,
                settings=self.settings,
                need=need,
                done=done,
                on_progress=self.on_progress,
                parts=parts,
                skipped=skipped,
                shared=self._shared,
            )
        )
        seconds = time.monotonic() - started
        facts = self.engine.facts()
        return store.Recording(
            made.items,
            {
                "subject": facts.subject,
                "notes": [[note.about, note.text] for note in facts.notes],
                "seconds": round(seconds, 3),
                "reasons": made.reasons,
                "fed": facts.fed,
                "machine": facts.machine,
            },
        )


def _named(need: Need, skipped: SkippedBlocks | None = None) -> dict[str, Any]:
    """A need as a part of the store's key. States are what they are before any lens reads them."""
    lens = need.lens if KINDS[need.kind].through_lens else None
    named = {**dataclasses.asdict(need), "lens": lens}
    if lens is not None and (content := content_key(lens)):
        # Two tuned lenses may have one name.
        named["lens_content"] = content
    if skipped is not None:
        named["blocks"] = {image: list(blocks) for image, blocks in skipped.blocks.items()}
        named["reason"] = skipped.reason
    return named


def _contents(lenses: Iterable[LensName]) -> dict[str, Any]:
    """What stands behind lenses that are more than a name."""
    found = {lens: content for lens in lenses if (content := content_key(lens))}
    return {"lenses": found} if found else {}


def _evidence(lens: LensName, recordings: Mapping[Need, store.Recording]) -> Evidence:
    recorded: dict[tuple[str, Skip | None], Recorded[Any]] = {}
    for need, found in recordings.items():
        if need.lens == lens:
            reasons = found.facts.get("reasons", {})
            recorded |= split(need.kind, found.items, reasons, need.skip)
    return Evidence(lens, recorded)


def _model_key(checkpoint: Checkpoint | InMemory) -> str:
    if isinstance(checkpoint, InMemory):
        return f"memory:{checkpoint.key or 'not kept'}"
    return model_fingerprint(checkpoint)


def _packages(checkpoint: Checkpoint | InMemory) -> tuple[str, ...]:
    # In memory it cannot be told by a file which of them take part.
    return ("peft", "torchao") if isinstance(checkpoint, InMemory) else packages_of(checkpoint)


def package_version(package: str) -> str:
    """Of an installed package, as provenance has it."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
