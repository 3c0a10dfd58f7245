"""Fine-tuned: a PEFT adapter put over its base, in a way that the lens reads.

The adapter's layers stay beside the base's, as peft runs them: merging rounds a 16-bit model's weights, and
cannot be done without loss where they are quantised. Only the head is merged, because the lens reads
its weight.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from lvlm_audit.errors import UnsupportedModel, UsageError
from lvlm_audit.models.aliases import Checkpoint
from lvlm_audit.models.explaining import first_line
from lvlm_audit.models.formats import check_adapter
from lvlm_audit.notes import Note
from lvlm_audit.settings.spelling import spelled

_PREFIX = "base_model.model."
"""Under which peft saves the base's names."""
_MISMATCH = re.compile(
    r"size mismatch for (\S+): copying a param with shape torch\.Size\(\[([\d, ]*)\]\) from checkpoint, "
    r"the shape in current model is torch\.Size\(\[([\d, ]*)\]\)"
)


def put_over(model: Any, checkpoint: Checkpoint) -> tuple[Note, ...]:
    """Puts the checkpoint's adapter over the model, in place.

    Returns:
        What of the base was changed for it.

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
    notes: tuple[Note, ...] = ()
    # transformers' own load_adapter() leaves DoRA's magnitudes out, and computes in another dtype.
    try:
        weights = _in_todays_names(model, load_peft_weights(folder, device="cpu"))
        notes = _resized(model, weights)
        kind.inference_mode = True
        over = PeftModel(model, kind)
        for layer in over.modules():
            if isinstance(layer, BaseTunerLayer):
                _bring_back(layer)
        info: Any = set_peft_model_state_dict(over, weights, adapter_name=over.active_adapter)
    except Exception as error:
        sizes = _first_mismatch(error)
        if any(part in sizes for part in _words_of(model)):
            remedy = (
                "Tokens were added before it was trained, and it does not bring all rows of embeddings and "
                "head: save it again with them (peft: save_embedding_layers=True), or give the base with the "
                f"added tokens as {spelled('model')}."
            )
        raise UnsupportedModel(f"{unlike}: {sizes or first_line(error)} {remedy}") from error
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
            merge_head(model, module, f"adapter {folder!r}")
    return notes


def _resized(model: Any, weights: Mapping[str, Tensor]) -> tuple[Note, ...]:
    """Gives the base as many words as the adapter was trained with, where it brings all their rows.

    peft saves embeddings and head whole where tokens were added; they fit a base of as many rows only.
    """
    names = {module: name for name, module in model.named_modules()}
    parts = [model.get_input_embeddings(), model.get_output_embeddings()]
    brought = []
    for part in parts:
        saved = None
        for own in () if part is None else ("weight", "base_layer.weight"):
            saved = weights.get(f"{_PREFIX}{names[part]}.{own}", saved)
        if saved is not None and saved.ndim == 2:
            brought.append(int(saved.shape[0]))
    had = int(parts[0].weight.shape[0])
    tied = parts[1] is not None and parts[1].weight is parts[0].weight
    # Rows that the adapter does not bring would be made up.
    whole = len(brought) == 2 or (tied and len(brought) == 1)
    if not whole or len(set(brought)) > 1 or brought[0] == had:
        return ()
    model.resize_token_embeddings(brought[0], mean_resizing=False)
    return (
        Note(
            "model",
            f"the base's embeddings and head have {had} rows, the adapter brings {brought[0]}: its rows are "
            f"used, as it was trained",
        ),
    )


def _words_of(model: Any) -> list[str]:
    """Names of the parts that have a row for each word."""
    parts = [part for part in (model.get_input_embeddings(), model.get_output_embeddings()) if part]
    return [name for name, module in model.named_modules() if any(module is part for part in parts)]


def _first_mismatch(error: Exception) -> str:
    """Which tensor does not fit, with both sizes; "" where the error is about something else."""
    found = _MISMATCH.search(str(error))
    if found is None:
        return ""
    name, saved, wanted = found.groups()
    count = len(_MISMATCH.findall(str(error)))
    saved, wanted = (" x ".join(size.split(", ")) for size in (saved, wanted))
    return (
        f"{count} of its tensors have another size than the base's, first {name}: {saved} in the adapter, "
        f"{wanted} in the base."
    )


def _bring_back(layer: Any) -> None:
    """Gives an adapter's tensors memory where its base's weights lie on disk; peft puts them beside these."""
    moved = getattr(layer.get_base_layer(), "_hf_hook", None)
    if moved is None or moved.execution_device is None:
        return
    for name, part in layer.named_children():
        if name != "base_layer" and any(p.is_meta for p in part.parameters()):
            part.to_empty(device=moved.execution_device)


def heads_merged(model: Any) -> Callable[[], None]:
    """Merges what an adapter in memory does to the head, and returns what gives the head back as it was.

    Raises:
        UnsupportedModel: it cannot be merged.
    """
    tuners: Any = sys.modules.get("peft.tuners.tuners_utils")
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    undo: list[Callable[[], None]] = []

    def restore() -> None:
        while undo:
            undo.pop()()

    for layer in () if head is None or tuners is None else head.modules():
        if not isinstance(layer, tuners.BaseTunerLayer) or layer.merged or layer.disable_adapters:
            continue
        plain = layer.get_base_layer()
        before = dict(plain.named_parameters(recurse=False))

        def back(layer: Any = layer, plain: Any = plain, before: dict[str, Any] = before) -> None:
            layer.unmerge()
            # Taking away what was added rounds; the weights themselves were never touched.
            for name, parameter in before.items():
                setattr(plain, name, parameter)

        for name, parameter in before.items():
            twin = torch.nn.Parameter(parameter.detach().clone(), requires_grad=False)
            setattr(plain, name, twin)
        undo.append(back)
        try:
            merge_head(model, layer, "the model's adapter")
        except UnsupportedModel:
            restore()
            raise
    return restore


def merge_head(model: Any, head: Any, whose: str) -> None:
    """Merges an adapted head into its weight, which the lens reads, in place.

    Args:
        model: that it is the head of.
        head: peft's layer around it.
        whose: the adapter, as the message about it begins.

    Raises:
        UnsupportedModel: it cannot be merged.
    """
    plain = head.get_base_layer()
    tied = plain.weight is getattr(model.get_input_embeddings(), "weight", None)
    if tied:
        # A tied head changes alone: the adapter is no part of the embeddings.
        plain.weight = torch.nn.Parameter(plain.weight.detach().clone(), requires_grad=False)
    try:
        head.merge(safe_merge=True)
    except Exception as error:
        raise UnsupportedModel(
            f"{whose} changes the head in a way that cannot be merged into its weights, which the "
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
