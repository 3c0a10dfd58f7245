"""Opening a checkpoint: from a name to a proved HookedModel, or to one clear error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from lvlm_audit.errors import UsageError
from lvlm_audit.models.aliases import Checkpoint, resolve
from lvlm_audit.models.explaining import first_line
from lvlm_audit.models.formats import check_format
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.processors import read_processor
from lvlm_audit.models.quiet import quiet
from lvlm_audit.models.weights import check_finite, read_config, read_model
from lvlm_audit.probes.probe import Probe

_DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}


def load(
    name: str | Path | Checkpoint,
    *,
    device: str | None = None,
    dtype: str | None = None,
    trust_remote_code: bool = False,
) -> HookedModel:
    """Opens a vision-language checkpoint and proves that the lens can read it.

    Args:
        name: a checkpoint folder, a hub id, or an alias (`lvlm_audit.models.aliases`).
        device: "cpu", "cuda", "cuda:1", "mps"; None or "auto" takes the fastest there is.
        dtype: "float32", "bfloat16" or "float16"; None or "auto" takes the checkpoint's own.
        trust_remote_code: run Python code that the checkpoint brings.

    Raises:
        ModelNotFound: no such folder, alias or hub checkpoint, or it cannot be downloaded.
        UnsupportedModel: not a vision-language model that transformers knows, no safetensors weights,
            remote code without leave, or an inside that the lens does not read.
        ModelBroken: missing or non-finite weights.
        UsageError: no such device or dtype.
    """
    checkpoint = name if isinstance(name, Checkpoint) else resolve(str(name))
    where = _device(device)
    wanted = _dtype(dtype)
    if checkpoint.folder is not None:
        check_format(checkpoint, checkpoint.folder)
    with quiet():
        config = read_config(checkpoint, trust_remote_code)
        model = read_model(checkpoint, config, wanted, trust_remote_code)
        processor = read_processor(checkpoint, trust_remote_code=trust_remote_code)
        check_finite(model, checkpoint)
        try:
            model.to(where)
        except (RuntimeError, torch.OutOfMemoryError) as error:
            raise UsageError(
                f"model {checkpoint.name!r} cannot be moved to {where}: {first_line(error)} "
                f"Try --lvlm-device cpu or a 16-bit --lvlm-dtype."
            ) from error
        return HookedModel(model, processor, name=checkpoint.name)


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
    """
    with quiet():
        return HookedModel(model, processor, name=name, sample=sample)


def _device(name: str | None) -> torch.device:
    if name is None or name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(
            f"device {name!r} cannot be used here: {first_line(error)} Use cpu, cuda, cuda:N or mps."
        ) from error
    return device


def _dtype(name: str | None) -> torch.dtype | str:
    if name is None or name == "auto":
        return "auto"
    if name not in _DTYPES:
        raise UsageError(f"dtype {name!r} is not known; use auto, float32, bfloat16 or float16.")
    return _DTYPES[name]
