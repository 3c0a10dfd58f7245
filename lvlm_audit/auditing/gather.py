"""Gathering evidence: out of the store where it was recorded before, else by asking the model.

The model is opened only when something has to be recorded; nothing here imports torch before that.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from lvlm_audit.auditing.keeping import Keeper, digest_of
from lvlm_audit.engine.local import LocalEngine
from lvlm_audit.engine.protocol import Engine
from lvlm_audit.errors import ModelBroken, ProbeError, UsageError
from lvlm_audit.interventions.named import Skip
from lvlm_audit.lenses.registry import content_key
from lvlm_audit.models.aliases import Checkpoint, resolve
from lvlm_audit.models.formats import takes_images
from lvlm_audit.models.identity import fingerprint as model_fingerprint
from lvlm_audit.models.identity import is_here, packages_of
from lvlm_audit.notes import Note, distinct
from lvlm_audit.probes.controlled import Shown, under_control
from lvlm_audit.probes.fingerprint import fingerprint as probes_fingerprint
from lvlm_audit.probes.probe import Probe, Probes
from lvlm_audit.recordings.evidence import Evidence, Recorded, split
from lvlm_audit.recordings.job import Progress, Work
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


def open_subject(settings: Settings) -> tuple[Checkpoint, bool]:
    """Find the checkpoint without opening it.

    Returns:
        The checkpoint, and whether it is the demo model.

    Raises:
        ModelNotFound: no such model, or the demo model is not assembled.
    """
    from lvlm_audit.demo.assemble import PROVENANCE_FILE, demo_folder

    is_demo = settings.model is None or settings.model == "demo"
    name = str(demo_folder()) if is_demo else cast(str, settings.model)
    checkpoint = resolve(name, revision=settings.revision, adapter=settings.adapter)
    folder = checkpoint.folder
    return checkpoint, is_demo or (folder is not None and (folder / PROVENANCE_FILE).is_file())


def without_eyes(settings: Settings, checkpoint: Checkpoint) -> bool:
    """Whether the checkpoint is a decoder that takes no images, so that prompts are asked without theirs.

    Raises:
        UsageError: the settings ask for what needs images.
    """
    if checkpoint.folder is None or takes_images(checkpoint.folder):
        return False
    wanted = {
        spelled("control", settings.control): settings.control not in (None, "text-only"),
        spelled("compare_llm"): settings.compare_llm,
        spelled("answers", "reference"): settings.answers == "reference",
    }
    for option, asked in wanted.items():
        if asked:
            raise UsageError(
                f"{checkpoint.name!r} is a language model without image input: its prompts are asked without "
                f"images, and {option} needs them. Drop it, or give a vision-language checkpoint."
            )
    return True


def choose_probes(settings: Settings, is_demo: bool) -> Probes:
    """The user's probes, or the bundled set that fits the model.

    Raises:
        ProbeError: a probe file that cannot be asked.
    """
    from lvlm_audit.probes.bundled import default_probes
    from lvlm_audit.probes.readers import read_probes

    if settings.probes is not None:
        return read_probes(
            settings.probes, format=settings.probe_format, images=settings.image_folder
        )
    if not is_demo:
        return Probes(default_probes())
    from lvlm_audit.demo.probes import demo_probes

    return Probes(demo_probes())


def gather(
    settings: Settings,
    needs: Sequence[Need],
    checkpoint: Checkpoint,
    probes: Sequence[Probe],
    *,
    model: HookedModel | None = None,
    engine: Engine | None = None,
    on_progress: Progress | None = None,
) -> Gathered:
    """Provide every needed recording, reusing what the store holds.

    Args:
        settings: what was asked for.
        needs: which recordings, each after those that it is made of.
        checkpoint: of the model.
        probes: what is asked.
        model: the checkpoint opened already, which the caller closes; None: it is opened if something
            has to be recorded, and closed.
        engine: who computes; None: this process. It is closed at the end.
        on_progress: called with what is being done.

    Raises:
        LvlmAuditError: the model cannot be opened, read or recorded; the message says why.
        ProbeError: reference answers are to be replayed, but probes have none.
    """
    if settings.answers == "reference":
        _require_answers(probes)
    shown = under_control(probes, settings.control)
    report = on_progress or (lambda *_: None)
    computing: Engine = engine or LocalEngine(settings, checkpoint, model=model, on_progress=report)
    read = probes.notes if isinstance(probes, Probes) else ()
    try:
        gathered = _Session(settings, checkpoint, shown, report, computing).gather(needs)
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
    checkpoint: Checkpoint
    shown: Shown
    on_progress: Progress
    engine: Engine
    _shared: dict[str, Any] = field(default_factory=dict)

    def gather(self, needs: Sequence[Need]) -> Gathered:
        if not is_here(self.checkpoint, trust_remote_code=self.settings.trust_remote_code):
            # What does not lie here has no content to be keyed by: fetch it first. A key made of its
            # name would serve an old recording once the hub holds other weights.
            self.engine.open()
            self.checkpoint = self.checkpoint.located()
        identity = self._identity()
        recordings: dict[Need, store.Recording] = {}
        with Keeper(identity, lambda what: self.on_progress(what, 0, 0)) as keeper:
            for need in needs:
                skipped = self._skipped(need, recordings)
                answers = recordings.get(Need(need.lens, "answers"))
                recordings[need] = keeper.provide(
                    _named(need, skipped),
                    _named(need),
                    partial(self._record, need, skipped, recordings),
                    made_of=digest_of(answers) if KINDS[need.kind].after else None,
                    unchanged=partial(self._check_unchanged, identity),
                )
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
                "traces_reused": keeper.reused == len(needs),
                "recording_seconds": round(sum(r.facts["seconds"] for r in recordings.values()), 2),
            },
            resolved=self.checkpoint.described(),
            notes=distinct((*keeper.notes, *notes)),
            probes=self.shown.probes,
        )

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
            "torch": _version("torch"),
            "transformers": _version("transformers"),
            "trace_schema": SCHEMA_VERSION,
            "model": model_fingerprint(self.checkpoint),
            "probes": probes_fingerprint(self.shown.probes),
            # The probes hold what is shown, but not what it is compared with.
            "control": s.control,
            "device": s.device,
            "dtype": s.dtype,
            "max_new_tokens": s.max_new_tokens,
            "batch_size": s.batch_size,
            "trust_remote_code": s.trust_remote_code,
            "answers": s.answers,
            **{package: _version(package) for package in packages_of(self.checkpoint)},
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


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
