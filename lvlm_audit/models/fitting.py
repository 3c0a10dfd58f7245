"""Fitting: prompts that cannot be what the model takes are refused before it runs, padding is made to fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lvlm_audit.errors import ProbeError
from lvlm_audit.models.structure import text_config
from lvlm_audit.notes import Note
from lvlm_audit.probes.probe import Probe


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a model takes of a prompt.

    Attributes:
        name: of the model.
        rows: of its input embeddings; None if they are no plain table.
        positions: that its configuration states; None if it states none.
        placed: ids that stand for features and are never looked up.
        padding: an id that any table has.
    """

    name: str
    rows: int | None
    positions: int | None
    placed: frozenset[int]
    padding: int


def bounds_of(name: str, model: Any, tokenizer: Any, placed: frozenset[int]) -> Bounds:
    """What an opened model takes.

    Args:
        name: of the model.
        model: opened.
        tokenizer: its tokenizer, or None.
        placed: ids that stand for image positions.
    """
    rows = _rows(model)
    known = [getattr(tokenizer, key, None) for key in ("pad_token_id", "eos_token_id")]
    usable = [i for i in (*known, *range(8)) if isinstance(i, int) and i not in placed]
    padding = next((i for i in usable if rows is None or 0 <= i < rows), 0)
    return Bounds(name, rows, _positions(model), placed, padding)


def words_without_row(bounds: Bounds, tokenizer: Any) -> tuple[Note, ...]:
    """Said at opening: a tokenizer that knows more words than the model has embeddings."""
    known = getattr(tokenizer, "get_vocab", None)
    if known is None or bounds.rows is None:
        return ()
    beyond = sorted(
        (i, word) for word, i in known().items() if i >= bounds.rows and i not in bounds.placed
    )
    if not beyond:
        return ()
    first = ", ".join(f"{word!r} ({i})" for i, word in beyond[:3])
    return (
        Note(
            "processor",
            f"ids of the tokenizer go beyond the model's {bounds.rows} embeddings ({len(beyond)} in all): "
            f"{first}. As padding they are replaced; a prompt that holds one is refused",
        ),
    )


def fitted(
    inputs: Mapping[str, Any], probes: Sequence[Probe], bounds: Bounds, tokenizer: Any
) -> dict[str, Any]:
    """The same inputs, with padding that the model has a row for.

    Raises:
        ProbeError: a prompt is longer than the model's positions, or holds a token that it has no row for.
    """
    made = dict(inputs)
    ids = made.get("input_ids")
    if not isinstance(ids, Tensor) or ids.ndim != 2 or ids.dtype.is_floating_point:
        return made
    mask = made.get("attention_mask")
    real = torch.ones_like(ids, dtype=torch.bool)
    if isinstance(mask, Tensor) and mask.shape == ids.shape:
        real = mask.bool()
    for probe, count in zip(probes, real.sum(dim=1).tolist(), strict=False):
        if bounds.positions is not None and count > bounds.positions:
            raise ProbeError(
                f"probe {probe.id!r}: its prompt has {count:,} tokens, but {bounds.name} takes "
                f"{bounds.positions:,} positions at most. Shorten the prompt, or show a smaller image."
            )
    if bounds.rows is None:
        return made
    beyond = ids >= bounds.rows
    for i in bounds.placed:
        beyond &= ids != i
    made["input_ids"] = ids.masked_fill(beyond & ~real, bounds.padding)
    for probe, row, wrong in zip(probes, ids, beyond & real, strict=False):
        if bool(wrong.any()):
            token = int(row[wrong][0])
            word = None if tokenizer is None else tokenizer.convert_ids_to_tokens(token)
            raise ProbeError(
                f"probe {probe.id!r}: its prompt {_shown(probe.prompt)} holds the token {word!r} (id {token}), "
                f"for which {bounds.name} has no embedding: it has {bounds.rows}. Drop the word from the "
                f"prompt, or give the tokenizer that belongs to these weights."
            )
    return made


def without_settings(processor: Any) -> str:
    """Which settings a processor lacks that it counts image positions with; "" if none."""
    wanted = ("patch_size", "vision_feature_select_strategy", "image_seq_length", "image_seq_len")
    absent = [key for key in wanted if getattr(processor, key, "") is None]
    if not absent:
        return ""
    return (
        f"Its processor_config.json says {', '.join(f'{key} = null' for key in absent)}: set what the model's "
        f"config.json says of its vision tower."
    )


def misplaced(model: Any, processor: Any, inputs: Mapping[str, Any], said: str) -> str:
    """Why a model does not take the prompt of its own processor: their places for the image differ; else "".

    Args:
        model: that refused.
        processor: that made the prompt.
        inputs: what was made.
        said: what the model said.
    """
    ids, made = inputs.get("input_ids"), getattr(processor, "image_token_id", None)
    key = "image_token_id" if hasattr(model.config, "image_token_id") else "image_token_index"
    wanted = getattr(model.config, key, None)
    if not isinstance(ids, Tensor) or wanted is None or not isinstance(made, int):
        return ""
    places = int((ids == made).sum())
    if places and made != wanted:
        return (
            f"config.json says that the image's token is {wanted} ({key}), but the processor writes {made} "
            f"({getattr(processor, 'image_token', '?')!r}), {places} times for one image. Correct {key} in "
            f"config.json, or save the processor that belongs to the model"
        )
    if "pixel_values" not in inputs or "match" not in said:
        return ""
    settings = ("patch_size", "vision_feature_select_strategy", "image_seq_length", "image_seq_len")
    has = {name: value for name in settings if (value := getattr(processor, name, "")) != ""}
    vision = getattr(model.config, "vision_config", None)
    tower = {name: getattr(vision, name, None) for name in ("image_size", "patch_size")}
    return (
        f"the processor writes {places} image tokens for one image, and the model has another number of "
        f"features. The processor says {_said(has)}; the vision tower {_said(tower)}. Save the processor that "
        f"belongs to the model, or correct the values in processor_config.json"
    )


def _said(settings: Mapping[str, Any]) -> str:
    named = (f"{name} = {'null' if value is None else value}" for name, value in settings.items())
    return ", ".join(named) or "nothing of patches"


def _rows(model: Any) -> int | None:
    try:
        table = model.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None
    weight = getattr(table, "weight", None)
    return int(weight.shape[0]) if isinstance(weight, Tensor) and weight.ndim == 2 else None


def _positions(model: Any) -> int | None:
    config = text_config(model)
    stated = getattr(config, "max_position_embeddings", None)
    if type(stated) is not int or stated < 1:
        return None
    # Stretched positions: the configuration may state the length before stretching.
    stretch = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None)
    stretch = stretch if isinstance(stretch, Mapping) else {}
    factor, original = stretch.get("factor"), stretch.get("original_max_position_embeddings")
    if isinstance(factor, (int, float)) and factor > 1:
        stated = max(stated, int(factor * (original if isinstance(original, int) else stated)))
    return stated


def _shown(prompt: str) -> str:
    return repr(prompt if len(prompt) <= 60 else prompt[:60] + " ...")
