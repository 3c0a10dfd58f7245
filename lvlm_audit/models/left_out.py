"""Left out: what a checkpoint's files hold and the opened model does not read.

transformers only logs such tensors. Those that belong to the decoder, and weights of an adapter, would have
changed every answer, so that an audit without them is one of another model; all others are stated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from lvlm_audit.errors import ModelBroken, UnsupportedModel
from lvlm_audit.models.aliases import Checkpoint
from lvlm_audit.models.anatomy import Anatomy
from lvlm_audit.models.formats import ADAPTER_WEIGHTS, PICKLES, TRAINING_STATE
from lvlm_audit.models.named_files import weight_files
from lvlm_audit.models.quantised import quantised_by
from lvlm_audit.models.structure import text_config
from lvlm_audit.notes import Note, left_out
from lvlm_audit.settings.spelling import spelled

_OF_ADAPTERS = re.compile(
    r"(^|\.)(lora_\w+|modules_to_save|original_module|base_layer|ia3_l|vera_lambda_\w+|hada_\w+|lokr_\w+|"
    r"oft_\w+|boft_\w+|token_adapter|trainable_tokens_\w+|prompt_embeddings|base_model\.model)(\.|$)"
)
_COMPUTED = re.compile(
    r"(^|\.)(inv_freq|original_inv_freq|position_ids|masked_bias|cos_cached|sin_cached|"
    r"num_batches_tracked|relative_position_index|embed_positions\._float_tensor|attn\.bias|attention\.bias)$"
)
"""Buffers that older releases saved, and that a model makes anew from its configuration."""
_OF_QUANTISERS = re.compile(
    r"(scale|scales|scale_inv|scale_\w+|zero_point|zeros|qzeros|g_idx|absmax|quant_map|nested_\w+|"
    r"quant_state\S*|SCB|weight_format|weight_shape|amax|bits|group_size)$"
)
_PREDICT_MORE = (
    "num_nextn_predict_layers",
    "num_mtp_layers",
    "mtp_num_hidden_layers",
    "num_mtp_modules",
)
"""Configuration keys of heads that predict several tokens ahead, saved as blocks behind the last."""


@dataclass(frozen=True, slots=True)
class Unread:
    """Names of tensors in a checkpoint's files that the model did not take.

    Attributes:
        unexpected: for which it has no place.
        skipped: which transformers skips for its family without a word.
        parted: parts that its configuration ties, and that have matrices of their own in the files.
    """

    unexpected: tuple[str, ...]
    skipped: tuple[str, ...]
    parted: tuple[str, ...]


def unread(checkpoint: Checkpoint, model: Any, unexpected: Iterable[str]) -> Unread:
    """What was not read, asked right after loading.

    Args:
        checkpoint: that was opened.
        model: opened, nothing put over it yet.
        unexpected: as transformers reports it.

    Raises:
        UnsupportedModel: weights of an adapter.
    """
    names = tuple(sorted(unexpected))
    inside = [name for name in names if _OF_ADAPTERS.search(name)]
    if inside:
        raise UnsupportedModel(
            f"the weights of {checkpoint.name!r} hold {_tensors(inside)} of an adapter, first "
            f"{inside[0]!r}. They would be left out, and another model than the trained one audited. Merge "
            f"them (peft: model.merge_and_unload()) and save again, or save base and adapter apart and give "
            f"both: {spelled('model', 'BASE')} and {spelled('adapter', 'FOLDER')}."
        )
    return Unread(names, _skipped_by_family(checkpoint, model), _parted(model))


def tensor_names(name: str, folder: Path) -> list[str] | None:
    """Names in the files that transformers reads; None where they cannot be read or are not here."""
    sizes = _sizes(name, folder)
    return None if sizes is None else list(sizes)


def numbers_held(name: str, folder: Path) -> int | None:
    """How many numbers the files that transformers reads hold; None as of `tensor_names`."""
    sizes = _sizes(name, folder)
    return None if sizes is None else sum(sizes.values())


def _sizes(name: str, folder: Path) -> dict[str, int] | None:
    found: dict[str, int] = {}
    files = weight_files(name, folder)
    try:
        for file in files:
            with safe_open(file, framework="pt") as opened:
                tensors: list[str] = opened.keys()
                for tensor in tensors:
                    found[tensor] = math.prod(opened.get_slice(tensor).get_shape())
    except (OSError, SafetensorError):
        return None
    return found if files else None


def check_files(checkpoint: Checkpoint) -> tuple[Note, ...]:
    """What lies beside the weights that are read, before they are.

    Raises:
        UnsupportedModel: an adapter's weights without their configuration.
    """
    folder = checkpoint.folder
    if folder is None:
        return ()
    if (folder / ADAPTER_WEIGHTS).is_file():
        raise UnsupportedModel(
            f"{checkpoint.name!r} holds a model, and an adapter's weights ({ADAPTER_WEIGHTS!r}) without "
            f"adapter_config.json, so that they cannot be put over it. Give them a folder of their own with "
            f"their adapter_config.json, as {spelled('adapter')}; or remove the file if the model holds them "
            f"already."
        )
    read = set(weight_files(checkpoint.name, folder))
    beside = [
        path.name
        for path in sorted(folder.iterdir())
        if path.suffix in (*PICKLES, ".safetensors")
        and path.is_file()
        and path not in read
        and not TRAINING_STATE.fullmatch(path.name)
        # The pickled twin of the weights that are read.
        and not path.name.startswith("pytorch_model")
    ]
    if not beside or not read:
        return ()
    return (Note("model", left_out("file", beside, "beside the weights that are read")),)


def check_tensors(
    checkpoint: Checkpoint, model: Any, anatomy: Anatomy, found: Unread
) -> tuple[Note, ...]:
    """What was in the files that were read, once it is known where the decoder is.

    Raises:
        ModelBroken: a tensor of the decoder was not read.
    """
    quantised = quantised_by(model.config) is not None
    lost: list[str] = []
    others: list[str] = []
    for name in found.unexpected:
        harmless = _COMPUTED.search(name) or (quantised and _OF_QUANTISERS.search(name))
        in_decoder = not harmless and _of_decoder(name, model, anatomy)
        (lost if in_decoder else others).append(name)
    if lost:
        raise ModelBroken(
            f"the weights of {checkpoint.name!r} hold {_tensors(lost)} of the decoder for which its "
            f"config.json has no place (it says {len(anatomy.blocks)} blocks), first {lost[0]!r}. They would "
            f"be left out. Give the config.json that belongs to these weights, or save the model again."
        )
    told = [
        left_out("tensor", names, why)
        for names, why in (
            (others, "no place in the model"),
            (found.skipped, "skipped by transformers for this family"),
        )
        if names
    ]
    if found.parted:
        told.append(
            f"config.json ties {', '.join(found.parted)} to another matrix, but the weights hold two that "
            f"differ: both are used, untied"
        )
    return tuple(Note("model", text) for text in told)


def _tensors(names: list[str]) -> str:
    return f"{len(names)} tensor{'' if len(names) == 1 else 's'}"


def _of_decoder(name: str, model: Any, anatomy: Anatomy) -> bool:
    blocks = anatomy.paths["blocks"]
    head = anatomy.paths["head"]
    if name.startswith(f"{blocks}."):
        number = name.removeprefix(f"{blocks}.").partition(".")[0]
        return not (number.isdigit() and _predicts_ahead(int(number), model, anatomy))
    if name.startswith(f"{head}."):
        return True
    stem, _, _ = blocks.rpartition(".")
    if stem and not name.startswith(f"{stem}."):
        return False
    # What hangs on a part of the decoder that exists: the bias of a norm, say. Other parts are other models.
    first, dot, _ = name.removeprefix(f"{stem}." if stem else "").partition(".")
    return not dot or first in dict(model.get_submodule(stem).named_children())


def _predicts_ahead(number: int, model: Any, anatomy: Anatomy) -> bool:
    config = text_config(model)
    more = [n for key in _PREDICT_MORE if isinstance(n := getattr(config, key, None), int)]
    last = len(anatomy.blocks)
    return last <= number < last + max(more, default=0)


def _skipped_by_family(checkpoint: Checkpoint, model: Any) -> tuple[str, ...]:
    """Names that transformers keeps quiet about because the family says so."""
    patterns = getattr(model, "_keys_to_ignore_on_load_unexpected", None)
    folder = checkpoint.located().folder
    if not patterns or folder is None:
        return ()
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

    rules = get_model_conversion_mapping(model)
    renamings = [rule for rule in rules if isinstance(rule, WeightRenaming)]
    converters = [rule for rule in rules if isinstance(rule, WeightConverter)]
    ignored = re.compile("|".join(f"({pattern})" for pattern in patterns))
    has = model.state_dict()
    found = []
    for name in tensor_names(checkpoint.name, folder) or ():
        today, _ = rename_source_key(name, renamings, converters, model.base_model_prefix, has)
        if today not in has and ignored.search(today) and not _COMPUTED.search(today):
            found.append(name)
    return tuple(sorted(found))


def _parted(model: Any) -> tuple[str, ...]:
    """transformers unties what a configuration ties, where the files hold two different matrices."""
    wanted = getattr(model, "get_expanded_tied_weights_keys", None)
    tied = getattr(model, "all_tied_weights_keys", None)
    if wanted is None or tied is None:
        return ()
    return tuple(sorted(wanted(all_submodels=True).keys() - tied.keys()))
