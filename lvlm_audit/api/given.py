"""What a caller gives as arguments, in the form that all share: settings, and what is in memory."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lvlm_audit.auditing.subject import Given, is_demo_folder
from lvlm_audit.errors import ProbeError, UsageError
from lvlm_audit.models.in_memory import InMemory
from lvlm_audit.probes.probe import Probe, Probes
from lvlm_audit.settings.audit import Settings, settings_of
from lvlm_audit.settings.checking import nearest
from lvlm_audit.settings.declared import AUDIT

if TYPE_CHECKING:
    from torch.nn import Module

    from lvlm_audit.models.hooked import HookedModel

_log = logging.getLogger(__name__)

OF_A_CHECKPOINT = ("adapter", "revision", "device", "dtype", "trust_remote_code")
"""How a checkpoint is opened: nothing that could be asked of a model that is open."""


@contextmanager
def understood(
    model: str | Path | HookedModel | Module,
    probes: str | Path | Sequence[Probe] | None,
    settings: Mapping[str, Any],
    *,
    processor: Any = None,
    cache: bool = True,
) -> Iterator[tuple[Settings, Given]]:
    """Settings, and what is in memory; a model that is hooked here is given back as it came.

    Args:
        model: name, folder, or in memory.
        probes: path, or in memory.
        settings: the other settings, by name.
        processor: of a transformers model.
        cache: whether the store takes part.

    Raises:
        UsageError: arguments that cannot be used, or that contradict each other.
        ProbeError: a list that is no probe set.
        LvlmAuditError: a model that the lens cannot read.
    """
    chosen = dict(settings)
    for name in chosen:
        if name != "mode" and name not in AUDIT:
            raise UsageError(f"there is no setting {name!r}.{nearest(name, (*AUDIT, 'mode'))}")
    in_memory = None if probes is None or isinstance(probes, str | Path) else _probe_set(probes)
    if in_memory is None:
        chosen["probes"] = probes
    mode = chosen.pop("mode", None)
    if isinstance(model, str | Path):
        if processor is not None:
            raise UsageError(
                "processor belongs to a model in memory; a checkpoint brings its own. Drop it."
            )
        chosen["model"] = str(model)
        yield settings_of(chosen, mode=mode), Given(probes=in_memory, keep=cache)
        return
    for name in OF_A_CHECKPOINT:
        if chosen.get(name) is not None:
            raise UsageError(
                f"{name} says how a checkpoint is opened, and this model is in memory. Drop it, or give a name."
            )
    with _hooked(model, processor) as hooked:
        chosen["model"] = hooked.name
        read = settings_of(chosen, mode=mode)
        yield read, Given(model=_subject(hooked, cache=cache), probes=in_memory, keep=cache)


def _probe_set(probes: Sequence[Probe]) -> Probes:
    kept = probes if isinstance(probes, Probes) else Probes(probes)
    seen: set[str] = set()
    for probe in kept:
        if not isinstance(probe, Probe):
            raise ProbeError(
                f"a {type(probe).__name__} is no Probe. Give a path, or a list of lvlm_audit.Probe."
            )
        if probe.id in seen:
            raise ProbeError(
                f"two probes have the id {probe.id!r}: answers are told apart by it. Rename one."
            )
        seen.add(probe.id)
    if not kept:
        raise ProbeError(
            "the list of probes is empty: nothing can be asked. Give one Probe or more."
        )
    return kept


@contextmanager
def _hooked(model: Any, processor: Any) -> Iterator[HookedModel]:
    if not hasattr(model, "generate") and not hasattr(model, "anatomy"):
        raise UsageError(
            f"model is a {type(model).__name__}: give a name, a folder, a transformers model that generates, "
            f"or what lvlm_audit.load() and lvlm_audit.hook() give."
        )
    # Whoever has a model in memory has loaded torch.
    from lvlm_audit.models.hooked import HookedModel
    from lvlm_audit.models.opening import hook

    if not isinstance(model, HookedModel):
        with hook(model, processor) as hooked:
            yield hooked
        return
    if processor is not None:
        raise UsageError("the hooked model has its processor already; drop processor here.")
    yield model


def _subject(hooked: HookedModel, *, cache: bool) -> InMemory:
    from lvlm_audit.models.content import NoContentError, content_key

    key = None
    if cache:
        try:
            key = content_key(hooked)
        except NoContentError as error:
            _log.warning(
                "recordings of %s are not kept, because its content cannot be compared: %s",
                hooked.name,
                error,
            )
    source = str(getattr(hooked.model, "name_or_path", "") or "")
    return InMemory(model=hooked, key=key, is_demo=is_demo_folder(Path(source) if source else None))
