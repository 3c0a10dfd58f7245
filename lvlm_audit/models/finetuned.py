"""Fine-tuned: a PEFT adapter put over its base, in a way that the lens reads.

The adapter's layers stay beside the base's, as peft runs them: merging rounds a 16-bit model's weights, and
cannot be done without loss where they are quantised. Only the head is merged, because the lens reads
its weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lvlm_audit.errors import UnsupportedModel, UsageError
from lvlm_audit.models.aliases import Checkpoint
from lvlm_audit.models.explaining import first_line
from lvlm_audit.models.formats import check_adapter
from lvlm_audit.settings.spelling import spelled

_PREFIX = "base_model.model."
"""Under which peft saves the base's names."""


def put_over(model: Any, checkpoint: Checkpoint) -> None:
    """Puts the checkpoint's adapter over the model, in place.

    Raises:
        UsageError: the package peft is not installed.
        UnsupportedModel: an adapter that is not made of layers, or one of another base.
    """
    assert checkpoint.adapter is not None
    folder = str(checkpoint.adapter)
    config = check_adapter(folder, checkpoint.adapter)
    try:
        from peft import PeftConfig, PeftModel, load_peft_weights, set_peft_model_state_dict
        from peft.tuners.tuners_utils import BaseTunerLayer
    except ImportError as error:
        raise UsageError(
            'an adapter needs the package peft: pip install "lvlm-audit[peft]".'
        ) from error
    try:
        kind = PeftConfig.from_pretrained(folder)
    except Exception as error:
        raise UnsupportedModel(
            f"adapter {folder!r} cannot be read by the installed peft: {first_line(error)} It may have been "
            f"saved by a newer one."
        ) from error
    if kind.is_prompt_learning or kind.is_adaption_prompt:
        raise UnsupportedModel(
            f"adapter {folder!r} is {kind.peft_type.value}, which puts made-up positions before the prompt "
            f"instead of changing layers; they belong to no token. Only adapters of layers (LoRA and its "
            f"kin) are read."
        )
    trained_on = str(config.get("base_model_name_or_path") or "a base it does not name")
    unlike = f"adapter {folder!r}, trained on {trained_on!r}, does not fit {checkpoint.source!r}"
    remedy = f"Give the base that it was trained on as {spelled('model')}."
    # transformers' own load_adapter() leaves DoRA's magnitudes out, and computes in another dtype.
    try:
        weights = _in_todays_names(model, load_peft_weights(folder, device="cpu"))
        kind.inference_mode = True
        over = PeftModel(model, kind)
        for layer in over.modules():
            if isinstance(layer, BaseTunerLayer):
                _bring_back(layer)
        info: Any = set_peft_model_state_dict(over, weights, adapter_name=over.active_adapter)
    except Exception as error:
        raise UnsupportedModel(f"{unlike}: {first_line(error)} {remedy}") from error
    mark = f".{over.active_adapter}"
    # A tied head shares the embeddings' trained tokens, which are saved once.
    missing = [
        key
        for key in info.missing_keys
        if (f"{mark}." in key or key.endswith(mark)) and ".token_adapter." not in key
    ]
    for keys, what in (
        (info.unexpected_keys, "belong to no layer of the base"),
        (missing, "are wanted by the base's layers but missing in it"),
    ):
        if keys:
            raise UnsupportedModel(
                f"{unlike}: {len(keys)} of its tensors {what}, for example {min(keys)!r}. {remedy}"
            )
    model.eval()
    head = model.get_output_embeddings()
    for module in () if head is None else head.modules():
        if isinstance(module, BaseTunerLayer):
            _merge(model, module, folder)


def _bring_back(layer: Any) -> None:
    """Gives an adapter's tensors memory where its base's weights lie on disk; peft puts them beside these."""
    moved = getattr(layer.get_base_layer(), "_hf_hook", None)
    if moved is None or moved.execution_device is None:
        return
    for name, part in layer.named_children():
        if name != "base_layer" and any(p.is_meta for p in part.parameters()):
            part.to_empty(device=moved.execution_device)


def _merge(model: Any, head: Any, folder: str) -> None:
    plain = head.get_base_layer()
    tied = plain.weight is getattr(model.get_input_embeddings(), "weight", None)
    if tied:
        # A tied head changes alone: the adapter is no part of the embeddings.
        plain.weight = torch.nn.Parameter(plain.weight.detach().clone(), requires_grad=False)
    try:
        head.merge(safe_merge=True)
    except Exception as error:
        raise UnsupportedModel(
            f"adapter {folder!r} changes the head in a way that cannot be merged into its weights, which the "
            f"lens reads: {first_line(error)}"
        ) from error


def _in_todays_names(model: Any, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An adapter's tensors by the module names of the installed transformers.

    Releases have renamed modules (LLaVA's `language_model.model` is `model.language_model` now), and
    know how to rename a checkpoint's tensors, but not an adapter's.
    """
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightRenaming

    rules = [rule for rule in get_model_conversion_mapping(model) if type(rule) is WeightRenaming]
    leaves = {name for name, module in model.named_modules() if not any(module.children())}
    renamed = {}
    for key, value in weights.items():
        bare = key.removeprefix(_PREFIX)
        parts = bare.split(".")
        if not any(".".join(parts[:end]) in leaves for end in range(1, len(parts))):
            for rule in rules:
                bare = rule.rename_source_key(bare)[0]
        renamed[_PREFIX + bare if key.startswith(_PREFIX) else bare] = value
    return renamed
