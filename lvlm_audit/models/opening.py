"""Opening a checkpoint: from a name to a proved HookedModel, or to one clear error."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from lvlm_audit.errors import ModelBroken, ModelNotFound, UnsupportedModel, UsageError
from lvlm_audit.models.aliases import Checkpoint, resolve
from lvlm_audit.models.hooked import HookedModel
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
        _check_weights_format(checkpoint, checkpoint.folder)
    with _quiet():
        config = _config(checkpoint, trust_remote_code)
        model, processor = _read(checkpoint, config, wanted, trust_remote_code)
        _check_finite(model, checkpoint)
        try:
            model.to(where)
        except (RuntimeError, torch.OutOfMemoryError) as error:
            raise UsageError(
                f"model {checkpoint.name!r} cannot be moved to {where}: {_first_line(error)} "
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
    with _quiet():
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
            f"device {name!r} cannot be used here: {_first_line(error)} Use cpu, cuda, cuda:N or mps."
        ) from error
    return device


def _dtype(name: str | None) -> torch.dtype | str:
    if name is None or name == "auto":
        return "auto"
    if name not in _DTYPES:
        raise UsageError(f"dtype {name!r} is not known; use auto, float32, bfloat16 or float16.")
    return _DTYPES[name]


def _check_weights_format(checkpoint: Checkpoint, folder: Path) -> None:
    if any(folder.glob("*.safetensors")):
        return
    pickled = sorted(path.name for path in folder.glob("*.bin")) + sorted(
        path.name for path in folder.glob("*.pt*")
    )
    if pickled:
        raise UnsupportedModel(
            f"{checkpoint.name!r} holds pickled weights only ({', '.join(pickled[:3])}); opening them "
            f"would run code that they contain. Convert them: model.save_pretrained(folder) writes "
            f"safetensors."
        )
    if checkpoint.kind == "folder":
        raise ModelNotFound(
            f"folder {checkpoint.name!r} has a config.json but no *.safetensors weights. Give the "
            f"folder that save_pretrained() wrote."
        )


def _config(checkpoint: Checkpoint, trust_remote_code: bool) -> Any:
    from transformers import AutoConfig, AutoModelForImageTextToText

    try:
        config = AutoConfig.from_pretrained(checkpoint.source, trust_remote_code=trust_remote_code)
    except Exception as error:
        raise _explained(checkpoint, error) from error
    if type(config) not in AutoModelForImageTextToText._model_mapping:
        remote = (getattr(config, "auto_map", None) or {}).get("AutoModelForImageTextToText")
        if remote is None or not trust_remote_code:
            architectures = ", ".join(getattr(config, "architectures", None) or ["none stated"])
            raise UnsupportedModel(
                f"{checkpoint.name!r} is not a vision-language model that transformers can open: "
                f"model_type {config.model_type!r}, architectures {architectures}. Give a checkpoint "
                f"whose model answers questions about images (`lvlm-audit models` lists common ones)."
            )
    return config


def _read(
    checkpoint: Checkpoint, config: Any, dtype: torch.dtype | str, trust_remote_code: bool
) -> tuple[Any, Any]:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    try:
        opened: Any = AutoModelForImageTextToText.from_pretrained(
            checkpoint.source,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
        )
        model, info = opened
    except Exception as error:
        raise _explained(checkpoint, error) from error
    _check_complete(checkpoint, info)
    try:
        processor = AutoProcessor.from_pretrained(
            checkpoint.source, trust_remote_code=trust_remote_code
        )
    except Exception as error:
        raise UnsupportedModel(
            f"the processor of {checkpoint.name!r} cannot be opened: {_first_line(error)} "
            f"{_processor_hint(error)}"
        ) from error
    if getattr(processor, "tokenizer", None) is None or (
        getattr(processor, "image_processor", None) is None
    ):
        raise UnsupportedModel(
            f"{checkpoint.name!r} brings {type(processor).__name__}, which does not take image and text "
            f"together. Save the model's processor into the same folder (processor.save_pretrained)."
        )
    return model, processor


def _processor_hint(error: Exception) -> str:
    from transformers.utils.import_utils import is_torchvision_available

    # transformers reads images with Pillow, but any processor that could also take videos needs more,
    # and says so in words that help nobody ("VIDEO_PROCESSOR_MAPPING has no attribute ...").
    said = str(error).lower()
    if not is_torchvision_available() and ("video" in said or "torchvision" in said):
        return "This family's processor also handles videos and needs torchvision: install it."
    return "Save the model's processor into the same folder (processor.save_pretrained)."


def _check_complete(checkpoint: Checkpoint, info: dict[str, Any]) -> None:
    """transformers fills what a checkpoint lacks with random numbers, and would only warn."""
    missing = sorted(info.get("missing_keys") or ())
    odd = sorted(key[0] for key in info.get("mismatched_keys") or ())
    failed = [*(info.get("error_msgs") or ()), *(info.get("conversion_errors") or {}).values()]
    if missing or odd or failed:
        named = (missing or odd or [str(failed[0])])[:3]
        what = "lacks" if missing else "has the wrong shape of" if odd else "cannot give"
        count = len(missing) or len(odd) or len(failed)
        raise ModelBroken(
            f"checkpoint {checkpoint.name!r} {what} {count} of the model's tensors, for example "
            f"{', '.join(named)}. Save it again, or fetch it anew."
        )


def _check_finite(model: Any, checkpoint: Checkpoint) -> None:
    with torch.inference_mode():
        for name, parameter in model.named_parameters():
            if not parameter.is_floating_point():
                continue
            # A sum is finite only if all terms are, short of overflow, which the exact look settles.
            total = parameter.sum(dtype=torch.float32)
            if not bool(total.isfinite()) and not bool(parameter.isfinite().all()):
                kind = "NaN" if bool(parameter.isnan().any()) else "infinite values"
                raise ModelBroken(
                    f"weights of {checkpoint.name!r} hold {kind}, first in {name}. The checkpoint is "
                    f"broken: look at the training run that wrote it."
                )


def _explained(checkpoint: Checkpoint, error: Exception) -> Exception:
    """What transformers and the hub raise, as one of our errors."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    name, said = checkpoint.name, _first_line(error)
    if "trust_remote_code" in str(error):
        return UnsupportedModel(
            f"{name!r} needs Python code of its own, which is run only with leave: pass "
            f"trust_remote_code=True (--lvlm-trust-remote-code) if you trust it."
        )
    chain = _chain(error)
    if any(isinstance(e, GatedRepoError) for e in chain):
        return ModelNotFound(
            f"{checkpoint.source!r} on the hub is gated. Accept its licence on its page and log in "
            f"(`hf auth login`), or give a local folder."
        )
    if any(isinstance(e, RepositoryNotFoundError) for e in chain):
        return ModelNotFound(
            f"the hub has no model {checkpoint.source!r}, or it is private. Check the name; for a "
            f"private one log in (`hf auth login`)."
        )
    hub = (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, ConnectionError)
    if checkpoint.kind == "hub" and any(isinstance(e, hub) for e in chain):
        return ModelNotFound(
            f"{checkpoint.source!r} is not on this machine and could not be fetched from the hub: {said} "
            f"Check the connection, or give a local folder."
        )
    folder = checkpoint.folder
    seen = _model_type(folder) if folder is not None else None
    if seen is not None and ("does not recognize" in str(error) or "model type" in str(error)):
        return UnsupportedModel(
            f"transformers does not know the architecture of {name!r} (model_type {seen!r}). A newer "
            f"transformers may; remote code needs trust_remote_code=True."
        )
    if isinstance(error, (OSError, EnvironmentError)) and checkpoint.kind == "hub":
        return ModelNotFound(f"{checkpoint.source!r} cannot be opened from the hub: {said}")
    return UnsupportedModel(f"{name!r} cannot be opened: {type(error).__name__}: {said}")


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__ or current.__context__
    return found


def _model_type(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / "config.json").read_text()).get("model_type", "not stated"))
    except (OSError, ValueError, AttributeError):
        return None


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # transformers puts whole paragraphs on one line; the first sentence says what happened.
    line = lines[0] if lines else type(error).__name__
    line = line if len(line) <= 240 else line[:240].rpartition(" ")[0] + " ..."
    return line if line.endswith((".", "!", "?")) else line + "."


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences what transformers and the hub say on the way: none of it a user could act on here."""
    from huggingface_hub import logging as hub_logging
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )
    from transformers.utils import logging as transformers_logging

    level, hub_level = transformers_logging.get_verbosity(), hub_logging.get_verbosity()
    bars, hub_bars = (
        transformers_logging.is_progress_bar_enabled(),
        not are_progress_bars_disabled(),
    )
    transformers_logging.set_verbosity_error()
    hub_logging.set_verbosity(logging.ERROR)
    transformers_logging.disable_progress_bar()
    # Downloads take minutes: their bars are the one thing worth seeing, on a terminal.
    if hub_bars and sys.stderr.isatty():
        enable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_logging.set_verbosity(level)
        hub_logging.set_verbosity(hub_level)
        if bars:
            transformers_logging.enable_progress_bar()
        if hub_bars:
            enable_progress_bars()
        else:
            disable_progress_bars()
