"""Weights: from a checkpoint's files to a complete and finite transformers model."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterable
from typing import Any

import torch

from lvlm_audit.errors import ModelBroken, UnsupportedModel, UsageError
from lvlm_audit.models.aliases import Checkpoint
from lvlm_audit.models.configured import (
    check_depths,
    check_feature_layers,
)
from lvlm_audit.models.explaining import explained, first_line
from lvlm_audit.models.fetched_code import check_fetches_nothing
from lvlm_audit.models.formats import check_config
from lvlm_audit.models.json_files import damaged_json, read_json
from lvlm_audit.models.left_out import Unread, numbers_held, tensor_names, unread
from lvlm_audit.models.placing import Memory, device_map
from lvlm_audit.models.quantised import in_full, quantised_by
from lvlm_audit.settings.spelling import spelled

_SMALL = 10_000_000
"""Parameters that memory is taken for without a question."""


def read_config(checkpoint: Checkpoint, *, trust_remote_code: bool) -> Any:
    """The checkpoint's configuration.

    Raises:
        ModelNotFound: it is not there, or cannot be fetched.
        UnsupportedModel: transformers does not know it, or it is known to be something else.
    """
    from transformers import AutoConfig, PreTrainedConfig

    named = {} if checkpoint.revision is None else {"revision": checkpoint.revision}
    try:
        raw, _ = PreTrainedConfig.get_config_dict(checkpoint.source, **named)
        if not isinstance(raw, dict):
            raise TypeError("config.json holds no object")
    except Exception as error:
        raise explained(checkpoint, error) from error
    check_config(checkpoint.name, raw)
    _check_generation(checkpoint)
    names = None if checkpoint.folder is None else tensor_names(checkpoint.name, checkpoint.folder)
    check_depths(checkpoint.name, raw, None if names is None else len(names))
    check_feature_layers(checkpoint.name, raw)
    check_fetches_nothing(checkpoint.name, raw, trust_remote_code=trust_remote_code)
    try:
        return AutoConfig.from_pretrained(
            checkpoint.source, trust_remote_code=trust_remote_code, **named
        )
    except Exception as error:
        raise explained(checkpoint, error) from error


def _check_generation(checkpoint: Checkpoint) -> None:
    """transformers goes on without a file of generation settings that it cannot read: answers would not end."""
    path = None if checkpoint.folder is None else checkpoint.folder / "generation_config.json"
    if path is not None and path.is_file() and read_json(path) is None:
        raise ModelBroken(f"{checkpoint.name!r} cannot be opened: {damaged_json(path.parent)}")


def model_class(checkpoint: Checkpoint, config: Any, *, trust_remote_code: bool) -> Any:
    """The Auto class that opens it: of vision-language models, else of decoders without eyes.

    Raises:
        UnsupportedModel: it is neither.
    """
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    remote = (getattr(config, "auto_map", None) or {}) if trust_remote_code else {}
    kinds: tuple[Any, ...] = (AutoModelForImageTextToText, AutoModelForCausalLM)
    stated = getattr(config, "architectures", None) or []
    # Encoders that fill gaps have decoder classes too, and would see the words that they are to emit.
    if stated and all(name.endswith("ForMaskedLM") for name in stated):
        kinds = ()
    for kind in kinds:
        if type(config) in kind._model_mapping or kind.__name__ in remote:
            return kind
    architectures = ", ".join(stated or ["none stated"])
    raise UnsupportedModel(
        f"{checkpoint.name!r} is neither a vision-language model nor a decoder that transformers can open: "
        f"model_type {config.model_type!r}, architectures {architectures}. Give a checkpoint whose model "
        f"answers questions (`lvlm-audit models` lists common ones)."
    )


def read_model(
    checkpoint: Checkpoint,
    config: Any,
    kind: Any,
    *,
    dtype: torch.dtype | str,
    device: torch.device,
    spread: bool,
    memory: Memory | None,
    trust_remote_code: bool,
) -> tuple[Any, Unread]:
    """The model with its weights where they belong, complete and finite; its adapter is not over them yet.

    Args:
        checkpoint: to be opened.
        config: its configuration.
        kind: the Auto class that opens it.
        dtype: of the weights; "auto" for the checkpoint's own.
        device: where it goes.
        spread: over all devices instead (`models.placing`).
        memory: bounds of that.
        trust_remote_code: run code that comes with the checkpoint.

    Returns:
        The model, and what of the files it did not take.

    Raises:
        ModelNotFound, UnsupportedModel, ModelBroken, UsageError: as `models.opening.load`.
    """
    _check_fills(checkpoint, config, kind)
    how: dict[str, Any] = {}
    offloaded = None
    if checkpoint.revision is not None:
        how["revision"] = checkpoint.revision
    if spread:
        offloaded = tempfile.mkdtemp(prefix="lvlm-audit-")
        places = _places(checkpoint, config, kind, dtype, memory, trust_remote_code)
        how |= {"device_map": places, "offload_folder": offloaded}
        if memory is not None and places == "auto":
            how["max_memory"] = dict(memory)
    elif quantised_by(config) is not None and device.type != "cpu":
        # Quantised weights are laid out for the device that they are read to, and some cannot move.
        how["device_map"] = {"": device}
    try:
        opened: Any = kind.from_pretrained(
            checkpoint.source,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
            # Otherwise it only says that a size does not fit; with it, which, and both sizes.
            ignore_mismatched_sizes=True,
            **how,
        )
        model, info = opened
    except Exception as error:
        if offloaded is not None:
            shutil.rmtree(offloaded, ignore_errors=True)
        raise explained(checkpoint, error) from error
    if offloaded is not None:
        weakref.finalize(model, shutil.rmtree, offloaded, ignore_errors=True)
    found = unread(checkpoint, model, info.get("unexpected_keys") or ())
    _check_complete(checkpoint, info)
    check_finite(model, checkpoint)
    if "device_map" not in how and device.type != "cpu":
        try:
            model.to(device)
        except (RuntimeError, torch.OutOfMemoryError) as error:
            raise UsageError(
                f"model {checkpoint.name!r} cannot be moved to {device}: {first_line(error)} Try "
                f"{spelled('device')} map or cpu, or a 16-bit {spelled('dtype')}."
            ) from error
    return model, found


def _places(
    checkpoint: Checkpoint,
    config: Any,
    kind: Any,
    dtype: torch.dtype | str,
    memory: Memory | None,
    trust_remote_code: bool,
) -> dict[str, int | str] | str:
    if quantised_by(config) is not None:
        return "auto"
    own = getattr(config, "dtype", None) or torch.float32
    stored = dtype if isinstance(dtype, torch.dtype) else own
    try:
        with torch.device("meta"):
            skeleton = kind.from_config(config, trust_remote_code=trust_remote_code)
    except Exception as error:
        raise explained(checkpoint, error) from error
    return device_map(skeleton, stored, memory)


def _check_fills(checkpoint: Checkpoint, config: Any, kind: Any) -> None:
    """Refuses a configuration of a far larger model than its weights are, before memory is taken for it."""
    held = None if checkpoint.folder is None else numbers_held(checkpoint.name, checkpoint.folder)
    if held is None or quantised_by(config) is not None or type(config) not in kind._model_mapping:
        return
    try:
        with torch.device("meta"):
            skeleton = kind.from_config(config)
    except Exception:
        # What does not fit together is told by opening itself.
        return
    wanted = sum(parameter.numel() for parameter in skeleton.parameters())
    if wanted > 2 * held + _SMALL:
        raise ModelBroken(
            f"the config.json of {checkpoint.name!r} describes a model of {wanted:,} parameters, but its "
            f"weights hold {held:,} numbers. Give the config.json that belongs to these weights."
        )


def _check_complete(checkpoint: Checkpoint, info: dict[str, Any]) -> None:
    """transformers fills what a checkpoint lacks with random numbers, and would only warn."""
    missing = sorted(info.get("missing_keys") or ())
    odd = sorted(info.get("mismatched_keys") or ())
    if odd:
        name, held, wanted = odd[0]
        raise ModelBroken(
            f"checkpoint {checkpoint.name!r}: the weights do not fit its config.json in {len(odd)} tensors, "
            f"first {name}: the file holds {_sizes(held)}, the configuration wants {_sizes(wanted)}. Give "
            f"the config.json that belongs to these weights, or save the model again."
        )
    failed = [*(info.get("error_msgs") or ()), *(info.get("conversion_errors") or {}).values()]
    if missing or failed:
        named = (missing or [str(failed[0])])[:3]
        what = "lacks" if missing else "cannot give"
        count = len(missing) or len(failed)
        raise ModelBroken(
            f"checkpoint {checkpoint.name!r} {what} {count} of the model's tensors, for example "
            f"{', '.join(named)}. Save it again, or fetch it anew."
        )


def _sizes(shape: Iterable[int]) -> str:
    return " x ".join(map(str, shape))


def check_finite(model: Any, checkpoint: Checkpoint) -> None:
    """Refuses weights that are not numbers, before anything is computed with them."""
    with torch.inference_mode():
        for name, parameter in model.named_parameters():
            numbers = in_full(parameter)
            # What lies on disk is looked at when a pass reads it; integers are always finite.
            if numbers is None or numbers.is_meta:
                continue
            # A sum is finite only if all terms are, short of overflow, which the exact look settles.
            total = numbers.sum(dtype=torch.float32)
            if not bool(total.isfinite()) and not bool(numbers.isfinite().all()):
                kind = "NaN" if bool(numbers.isnan().any()) else "infinite values"
                raise ModelBroken(
                    f"weights of {checkpoint.name!r} hold {kind}, first in {name}. The checkpoint is "
                    f"broken: look at the training run that wrote it."
                )
