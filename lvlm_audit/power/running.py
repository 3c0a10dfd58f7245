"""Asking and judging: parent and candidates are asked the same, then compared by the gate, from documents."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lvlm_audit.auditing.gather import package_version
from lvlm_audit.auditing.run import audit_model
from lvlm_audit.auditing.subject import Given
from lvlm_audit.cache import cache_dir, cannot_keep
from lvlm_audit.comparing import compare
from lvlm_audit.document import Audit
from lvlm_audit.errors import CheckError, DocumentError, UnsupportedModel
from lvlm_audit.faults.fault import Fault
from lvlm_audit.faults.identity import identity
from lvlm_audit.models.in_memory import InMemory
from lvlm_audit.notes import Note
from lvlm_audit.power.cells import Cell, cell
from lvlm_audit.power.sets import ProbeSet
from lvlm_audit.probes.fingerprint import fingerprint
from lvlm_audit.probes.probe import Probes
from lvlm_audit.progress import OnProgress, Progress
from lvlm_audit.settings.audit import Settings
from lvlm_audit.spec.suite import Suite
from lvlm_audit.version import __version__
from lvlm_audit.writing import write_whole

if TYPE_CHECKING:
    from lvlm_audit.models.hooked import HookedModel

_PACKAGES = ("torch", "transformers", "torchao", "peft")


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What was measured.

    Attributes:
        model: as it was named.
        checks: of the regression family, by name.
        cells: one for each fault and set.
        notes: faults that the model cannot have.
    """

    model: str
    checks: Sequence[str]
    cells: Sequence[Cell]
    notes: Sequence[Note] = ()


def regression_family(suite: Suite) -> Suite:
    """The checks of a suite that are held against a parent.

    Raises:
        CheckError: there is none.
    """
    held = tuple(c for c in suite.checks if c.max_drop is not None or c.max_rise is not None)
    if not held:
        raise CheckError(
            f"no check of suite {suite.name!r} is held against a parent, so there is no loss that it could "
            f"show. Declare one with max_drop= or max_rise=."
        )
    return Suite(suite.name, held)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What parent and candidates answered; nothing is judged yet.

    Attributes:
        sets: what was asked.
        parents: the parent's document of each set.
        candidates: those of each fault.
        notes: faults that the model cannot have.
    """

    sets: Sequence[ProbeSet]
    parents: Sequence[Audit]
    candidates: Sequence[tuple[Fault, Sequence[Audit]]]
    notes: Sequence[Note] = ()


def ask(
    suite: Suite,
    settings: Settings,
    sets: Sequence[ProbeSet],
    faults: Sequence[Fault],
    *,
    open_model: Callable[[], AbstractContextManager[HookedModel]],
    model_key: str,
    is_demo: bool = False,
    seed: int = 0,
    fresh: bool = False,
    on_progress: OnProgress | None = None,
) -> Asked:
    """Audit parent and candidates on the same probes; what was finished before is taken out of the cache.

    Args:
        suite: its checks of the regression family are used.
        settings: how is asked and read.
        sets: what is asked.
        faults: the candidates.
        open_model: opens the parent, which is done once, and only if something has to be asked.
        model_key: of the parent's content.
        is_demo: whether it is the demo model.
        seed: of the faults.
        fresh: each set has a fault of its own seed, from `seed` on.
        on_progress: called with what is being done.

    Raises:
        LvlmAuditError: the model cannot be opened or asked.
    """
    candidates: list[tuple[Fault, Sequence[Audit]]] = []
    notes: list[Note] = []
    with ExitStack() as stack:
        run = _Run(
            regression_family(suite),
            settings,
            lambda: stack.enter_context(open_model()),
            model_key,
            is_demo,
            on_progress,
        )
        parents = run.documents(None, sets, seed)
        for fault in faults:
            groups = [[one] for one in sets] if fresh else [sets]
            try:
                made = [
                    document
                    for place, group in enumerate(groups)
                    for document in run.documents(fault, group, seed + place)
                ]
            except UnsupportedModel as error:
                notes.append(Note("model", f"left out: fault {fault.name}: {error}"))
                continue
            candidates.append((fault, made))
    return Asked(sets=sets, parents=parents, candidates=candidates, notes=notes)


def judge(asked: Asked, suite: Suite, settings: Settings) -> Power:
    """What the gate says of every candidate: from documents alone, so that it costs little to do again.

    Args:
        asked: the documents.
        suite: as it was asked with.
        settings: as it was asked with.
    """
    cells = [
        cell(
            fault.name,
            fault.intended,
            of.images,
            of.number,
            compare(document, parent, seed=settings.seed),
        )
        for fault, documents in asked.candidates
        for of, document, parent in zip(asked.sets, documents, asked.parents, strict=True)
    ]
    names = [check.name for check in regression_family(suite).checks]
    return Power(
        model=settings.model or "demo", checks=names, cells=cells, notes=tuple(asked.notes)
    )


@dataclass(slots=True)
class _Run:
    suite: Suite
    settings: Settings
    open_model: Callable[[], HookedModel]
    model_key: str
    is_demo: bool
    on_progress: OnProgress | None
    _model: HookedModel | None = None

    def documents(self, fault: Fault | None, sets: Sequence[ProbeSet], seed: int) -> list[Audit]:
        """The audits of a fault, or of the parent, on each set: out of the cache, or made now."""
        places = [self._place(fault, asked, seed) for asked in sets]
        found = [_kept(path) for path in places]
        if None in found:
            with self._candidate(fault, seed) as candidate:
                for i, asked in enumerate(sets):
                    if found[i] is None:
                        found[i] = self._made(candidate, fault, asked, places[i])
        return [document for document in found if document is not None]

    @contextmanager
    def _candidate(self, fault: Fault | None, seed: int) -> Iterator[HookedModel]:
        from lvlm_audit.faults.applying import applied

        if self._model is None:
            self._model = self.open_model()
        if fault is None:
            yield self._model
        else:
            with applied(fault, self._model, seed=seed) as candidate:
                yield candidate

    def _made(
        self, candidate: HookedModel, fault: Fault | None, asked: ProbeSet, path: Path
    ) -> Audit:
        name = "the parent" if fault is None else fault.name
        if self.on_progress is not None:
            self.on_progress(Progress(f"{name}: set {asked.number + 1} of {asked.images} images"))
        settings = self.settings
        if fault is not None and fault.batch_size is not None:
            settings = dataclasses.replace(settings, batch_size=fault.batch_size)
        model = InMemory(model=candidate, is_demo=self.is_demo)
        given = Given(model=model, probes=Probes(asked.probes), keep=False)
        document = audit_model(self.suite, settings, given=given, lean=True).document()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, document.to_json())
        except OSError as error:
            raise cannot_keep("a document", error) from error
        return document

    def _place(self, fault: Fault | None, asked: ProbeSet, seed: int) -> Path:
        """By all that decides what the document says; a fault's name and words do not."""
        of: dict[str, Any] = {
            "version": __version__,
            "packages": [package_version(name) for name in _PACKAGES],
            "model": self.model_key,
            "probes": fingerprint(asked.probes),
            "checks": [check.declared() for check in self.suite.checks],
            "settings": dict(_settings(self.settings)),
        }
        if fault is not None:
            of["fault"] = identity(fault, seed)
        digest = hashlib.sha256(json.dumps(of, sort_keys=True, default=str).encode()).hexdigest()
        folder = (
            "parent" if fault is None else "".join(c if c.isalnum() else "-" for c in fault.name)
        )
        return cache_dir() / "power-documents" / folder / f"{digest[:20]}.json"


def _settings(settings: Settings) -> Iterator[tuple[str, Any]]:
    names = ("lens", "divergence", "scaling", "answers", "control", "max_new_tokens", "device")
    for name in (*names, "dtype", "batch_size", "seed"):
        yield name, getattr(settings, name)


def _kept(path: Path) -> Audit | None:
    try:
        return Audit.load(path) if path.is_file() else None
    except DocumentError:
        # Damaged: made again.
        return None
