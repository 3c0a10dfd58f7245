"""The local engine: one model in this process. torch is imported when the model is opened."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from lvlm_audit.engine.protocol import Facts, Made
from lvlm_audit.models.aliases import Checkpoint
from lvlm_audit.models.in_memory import InMemory
from lvlm_audit.progress import OnProgress, Step
from lvlm_audit.recordings.job import Job, Work
from lvlm_audit.recordings.registry import KINDS
from lvlm_audit.settings.audit import Settings

if TYPE_CHECKING:
    from lvlm_audit.models.hooked import HookedModel

_log = logging.getLogger(__name__)


def opened(
    settings: Settings, checkpoint: Checkpoint | InMemory
) -> AbstractContextManager[HookedModel]:
    """The model, opened as the settings say and closed at the end; one that is in memory stays open.

    torch is loaded here.

    Raises:
        LvlmAuditError: as `models.opening.load`.
    """
    if isinstance(checkpoint, InMemory):
        return nullcontext(checkpoint.model)
    return _load(settings, checkpoint)


def _load(settings: Settings, checkpoint: Checkpoint) -> HookedModel:
    from lvlm_audit.models.opening import load

    return load(
        # Otherwise a commit that is newer than the one that lies here, and is in the key, would be fetched.
        dataclasses.replace(checkpoint, revision=checkpoint.commit or checkpoint.revision),
        device=settings.device,
        dtype=settings.dtype,
        trust_remote_code=settings.trust_remote_code,
    )


class LocalEngine:
    """Opens a checkpoint on first use; a model that was opened by somebody else stays theirs."""

    def __init__(
        self,
        settings: Settings,
        checkpoint: Checkpoint | InMemory,
        *,
        model: HookedModel | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._settings = settings
        self._checkpoint = checkpoint
        self._model = checkpoint.model if isinstance(checkpoint, InMemory) else model
        self._mine = self._model is None
        self._on_progress = on_progress
        self._fed: Mapping[str, Mapping[str, Any]] | None = None

    def open(self) -> None:
        """Open the model, if it is not open."""
        self._opened()

    def facts(self) -> Facts:
        """Architecture, sizes, where things were found, what is fed, and what computes."""
        from lvlm_audit.models.fed import fed
        from lvlm_audit.models.machine import machine

        model = self._opened()
        if self._fed is None:
            # Asked after every recording; a large vocabulary takes a second.
            self._fed = fed(model)
        paths = model.anatomy.paths
        return Facts(
            subject={
                "architecture": type(model.model).__name__,
                "blocks": model.blocks,
                "width": model.width,
                "vocabulary": model.vocabulary,
                "dtype": str(model.dtype).removeprefix("torch."),
                "device": str(model.device),
                "anatomy": {
                    "blocks": f"{paths['blocks']} ({model.blocks})",
                    "final norm": paths["norm"] or "none",
                    "head": paths["head"] + (" (tied)" if model.anatomy.tied else ""),
                    "as read": model.anatomy.describe(),
                },
            },
            notes=model.notes,
            fed=self._fed,
            machine=machine(model.device),
        )

    def make(self, work: Work) -> Made:
        """One recording, by its kind's own function."""
        kind = KINDS[work.need.kind]
        if kind.make is None:
            raise ValueError(f"{kind.name!r} is recorded within {kind.within!r}")
        given = {f.name: getattr(work, f.name) for f in dataclasses.fields(work)}
        job = Job(**given, model=self._opened())
        items = kind.make(job)
        return Made(items=items, reasons=job.reasons)

    def close(self) -> None:
        """Close the model if it was opened here."""
        if self._mine and self._model is not None:
            self._model.close()
            self._model = None

    def _opened(self) -> HookedModel:
        if self._model is None:
            Step(self._on_progress, "opening the model")
            assert isinstance(self._checkpoint, Checkpoint)
            _log.info("opening %s", self._checkpoint.described())
            self._model = _load(self._settings, self._checkpoint)
        return self._model
