"""Weights: from a checkpoint's files to a complete and finite transformers model."""

from __future__ import annotations

from typing import Any

import torch

from lvlm_audit.errors import ModelBroken, UnsupportedModel
from lvlm_audit.models.aliases import Checkpoint
from lvlm_audit.models.explaining import explained


def read_config(checkpoint: Checkpoint, trust_remote_code: bool) -> Any:
    from transformers import AutoConfig, AutoModelForImageTextToText

    try:
        config = AutoConfig.from_pretrained(checkpoint.source, trust_remote_code=trust_remote_code)
    except Exception as error:
        raise explained(checkpoint, error) from error
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


def read_model(
    checkpoint: Checkpoint, config: Any, dtype: torch.dtype | str, trust_remote_code: bool
) -> Any:
    from transformers import AutoModelForImageTextToText

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
        raise explained(checkpoint, error) from error
    _check_complete(checkpoint, info)
    return model


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


def check_finite(model: Any, checkpoint: Checkpoint) -> None:
    """Refuses weights that are not numbers, before anything is computed with them."""
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
