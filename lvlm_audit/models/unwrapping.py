"""Unwrapping: the model inside what training code, torch and peft put around it."""

from __future__ import annotations

import sys
from typing import Any

from lvlm_audit.errors import UnsupportedModel, UsageError


def unwrapped(model: Any) -> Any:
    """The transformers model inside; layers of an adapter stay where they are, and active.

    Raises:
        UsageError: it is no model but something that leads to one.
        UnsupportedModel: its weights are spread in a way that the lens cannot read, or an adapter puts
            positions before the prompt.
    """
    import torch

    around = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)
    while True:
        kind = type(model).__name__
        if isinstance(model, str) or hasattr(model, "__fspath__"):
            raise UsageError(
                f"{str(model)!r} is a name, not a model. Open it with load({str(model)!r})."
            )
        if kind == "FullyShardedDataParallel":
            raise UnsupportedModel(
                "the model is wrapped in FullyShardedDataParallel: its weights lie in pieces on several "
                "devices. Save it whole (full state dict, save_pretrained) and open the folder with load()."
            )
        # torch.compile() wraps a model; the one inside is what generates.
        if hasattr(model, "_orig_mod"):
            model = model._orig_mod
        elif isinstance(model, around):
            model = model.module
        elif _of_peft(model):
            model = _base(model)
        else:
            break
    if not isinstance(model, torch.nn.Module):
        inside = getattr(model, "model", None)
        hint = " Give what is inside: .model." if isinstance(inside, torch.nn.Module) else ""
        raise UsageError(
            f"a {type(model).__name__} is no model that can be hooked.{hint or ' Give a transformers model.'}"
        )
    return model


def _of_peft(model: Any) -> bool:
    peft = sys.modules.get("peft")
    return peft is not None and isinstance(model, (peft.PeftModel, peft.PeftMixedModel))


def _base(model: Any) -> Any:
    """The base with the adapter's layers in it."""
    config = getattr(model, "active_peft_config", None)
    if config is not None and (config.is_prompt_learning or config.is_adaption_prompt):
        raise UnsupportedModel(
            f"the PeftModel's active adapter is {config.peft_type.value}, which puts made-up positions before "
            f"the prompt instead of changing layers; they belong to no token. Only adapters of layers (LoRA "
            f"and its kin) are read."
        )
    return model.get_base_model()
