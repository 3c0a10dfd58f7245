"""Opening a checkpoint: from a name to a proved HookedModel, or to one clear error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from lvlm_audit.errors import LvlmAuditError, UsageError
from lvlm_audit.models.aliases import Checkpoint, resolve
from lvlm_audit.models.finetuned import put_over
from lvlm_audit.models.formats import check_weights
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.left_out import check_files, check_tensors
from lvlm_audit.models.placing import Memory, device_named
from lvlm_audit.models.processors import read_asker
from lvlm_audit.models.quiet import quiet
from lvlm_audit.models.weights import check_finite, model_class, read_config, read_model
from lvlm_audit.notes import Note
from lvlm_audit.probes.probe import Probe
from lvlm_audit.settings.checking import given
from lvlm_audit.settings.declared import AUDIT


def load(
    name: str | Path | Checkpoint,
    *,
    device: str | None = None,
    dtype: str | None = None,
    trust_remote_code: bool = False,
    revision: str | None = None,
    adapter: str | Path | None = None,
    max_memory: Memory | None = None,
) -> HookedModel:
    """Opens a checkpoint and proves that the lens can read it.

    A decoder without eyes is opened with its tokenizer; it can be asked text alone.

    Args:
        name: a checkpoint folder, a hub id, or an alias (`lvlm_audit.models.aliases`).
        device: "cpu", "cuda", "cuda:1", "mps"; None or "auto" takes the fastest there is; "map" spreads
            the blocks over all accelerators, main memory and disk (needs accelerate).
        dtype: "float32", "bfloat16" or "float16"; None or "auto" takes the checkpoint's own.
        trust_remote_code: run Python code that the checkpoint brings.
        revision: branch, tag or commit of a hub model.
        adapter: folder of a PEFT adapter that goes over the weights (needs peft).
        max_memory: with "map", the most that each device may hold, as accelerate has it: {0: "20GiB"}.

    Raises:
        ModelNotFound: no such folder, alias or hub checkpoint, or it cannot be downloaded.
        UnsupportedModel: not a model that transformers knows, no safetensors weights, an adapter of
            another base, remote code without leave, or an inside that the lens does not read.
        ModelBroken: missing, cut short or non-finite weights.
        UsageError: no such device or dtype; a package that is wanted for what was asked is missing.
    """
    if not isinstance(name, Checkpoint):
        checkpoint = resolve(str(name), revision=revision, adapter=adapter)
    elif revision is None and adapter is None:
        checkpoint = name
    else:
        raise UsageError(
            "a resolved Checkpoint has its revision and adapter already; drop them here."
        )
    if max_memory is not None and device != "map":
        raise UsageError('max_memory bounds how a model is spread: it needs device="map".')
    where = device_named(device)
    wanted = _dtype(dtype)
    notes: list[Note] = []
    if checkpoint.folder is not None:
        check_weights(checkpoint.name, checkpoint.folder, complete=checkpoint.kind == "folder")
        notes += check_files(checkpoint)
    with quiet():
        config = read_config(checkpoint, trust_remote_code=trust_remote_code)
        kind = model_class(checkpoint, config, trust_remote_code=trust_remote_code)
        model, unread = read_model(
            checkpoint,
            config,
            kind,
            dtype=wanted,
            device=where,
            spread=device == "map",
            memory=max_memory,
            trust_remote_code=trust_remote_code,
        )
        if checkpoint.adapter is not None:
            notes += put_over(model, checkpoint)
            check_finite(model, checkpoint)
        sees = kind.__name__ != "AutoModelForCausalLM"
        processor, more = read_asker(
            checkpoint, config, sees=sees, trust_remote_code=trust_remote_code
        )
        hooked = HookedModel(model, processor, name=checkpoint.name, notes=(*notes, *more))
        try:
            hooked.notes += check_tensors(checkpoint, model, hooked.anatomy, unread)
        except LvlmAuditError:
            hooked.close()
            raise
        return hooked


def hook(
    model: Any, processor: Any = None, *, name: str | None = None, sample: Probe | None = None
) -> HookedModel:
    """The same around a transformers model that is already in memory.

    The model is put in evaluation mode while it is open, and given back as it came.

    Args:
        model: a model with a causal decoder and a language-model head.
        processor: its processor; None if it is asked `Probe.prepared` only.
        name: as reports call it.
        sample: a prepared probe to be proved on; for a model without processor that needs more than
            text to run.

    Raises:
        UnsupportedModel, ModelBroken: as `load`.

    Example:
        >>> with lvlm_audit.hook(model, processor) as hooked:
        ...     hooked.blocks, hooked.vocabulary
        (10, 384)
    """
    with quiet():
        return HookedModel(model, processor, name=name, sample=sample)


def _dtype(name: str | None) -> torch.dtype | str:
    chosen = "auto" if name is None else given("dtype", AUDIT["dtype"], name)
    if chosen == "auto":
        return "auto"
    found = getattr(torch, chosen)
    assert isinstance(found, torch.dtype)
    return found
