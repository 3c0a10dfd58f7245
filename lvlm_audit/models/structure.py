"""Structure: which modules are the decoder's blocks and which one is its head.

The module tree names candidates, lists of as many modules as a decoder declares layers; one forward
pass shows which of them ran, and when. Towers and encoders run before the decoder, so the decoder's
blocks are the list that finished last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lvlm_audit.errors import CannotRun, UnsupportedModel
from lvlm_audit.models.hooks import hooks_restored
from lvlm_audit.models.quantised import in_full

DEPTHS = ("num_hidden_layers", "num_decoder_layers", "decoder_layers", "num_layers", "n_layers")
"""Configuration keys under which decoders declare how many blocks they have."""


@dataclass(frozen=True, slots=True)
class Calls:
    """In which order a forward pass finished its modules.

    Attributes:
        order: modules as they finished, with the size of their output's last dimension (0: no tensor).
        vocabulary: size of the logits' last dimension.
    """

    order: tuple[tuple[nn.Module, int], ...]
    vocabulary: int


def text_config(model: Any) -> Any:
    """The configuration of the decoder, which composite models nest."""
    config = model.config
    try:
        return config.get_text_config(decoder=True)
    except (AttributeError, ValueError):
        return config


def is_encoder_decoder(model: Any) -> bool:
    """Prompt and image go into an encoder, and a decoder of its own answers."""
    configs = (model.config, text_config(model))
    return any(bool(getattr(config, "is_encoder_decoder", False)) for config in configs)


def check_generates(model: Any) -> None:
    """Refuses a model that does not answer token by token.

    Raises:
        UnsupportedModel: it is none of transformers' generating models.
    """
    from transformers import GenerationMixin

    # Asked of the class and not by trying: a decoder that fills whole blocks of text at once also has
    # logits and a generate() of its own, and its states belong to no emitted token.
    if not isinstance(model, GenerationMixin):
        raise UnsupportedModel(
            f"{type(model).__name__} does not answer token by token (it has no generate() of transformers' "
            f"GenerationMixin), so there is no emitted token to follow. Pass a checkpoint that "
            f"generates text autoregressively."
        )


def class_name(model: Any) -> str:
    """As messages call a model."""
    return type(model).__name__


@contextmanager
def refusing(model: Any, inputs: Mapping[str, Any]) -> Iterator[None]:
    """What a model objects to while it runs becomes one message.

    Raises:
        CannotRun: the model refuses such inputs.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (TypeError, ValueError, RuntimeError, IndexError, AttributeError, KeyError) as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise CannotRun(
            f"{class_name(model)} cannot be run on {', '.join(sorted(inputs))}: {said}. If it needs more "
            f"than text, pass its processor, or sample=Probe.prepared({{...}}) with what generate() takes."
        ) from error


def run(model: Any, inputs: Mapping[str, Any], **options: Any) -> Any:
    """A forward pass without cache.

    Raises:
        CannotRun: the model refuses such inputs.
        UnsupportedModel: it gives no logits.
    """
    with torch.inference_mode(), refusing(model, inputs):
        output = model(**inputs, use_cache=False, return_dict=True, **options)
    if not isinstance(getattr(output, "logits", None), Tensor) or output.logits.ndim != 3:
        raise UnsupportedModel(
            f"{class_name(model)} gives no logits [batch, positions, vocabulary] but "
            f"{type(output).__name__}: it does not decode token by token."
        )
    return output


def calls_of(model: Any, inputs: Mapping[str, Any]) -> Calls:
    """Runs a model once and notes which modules finished when; keeps no tensors."""
    order: list[tuple[nn.Module, int]] = []

    def ran(module: nn.Module, _: Any, output: Any) -> None:
        last = output.shape[-1] if isinstance(output, Tensor) and output.ndim else 0
        order.append((module, last))

    with hooks_restored(model):
        for module in model.modules():
            module.register_forward_hook(ran)
        logits = run(model, inputs).logits
    return Calls(tuple(order), int(logits.shape[-1]))


def find_head(model: Any, calls: Calls) -> nn.Module:
    """The output embeddings; where a model does not name them, the last projection onto the vocabulary.

    Raises:
        UnsupportedModel: there is none, or its weights are not usable.
    """
    head = model.get_output_embeddings()
    if head is None:
        head = next(
            (
                module
                for module, size in reversed(calls.order)
                if size >= calls.vocabulary and _rows(module) == size
            ),
            None,
        )
    if not isinstance(head, nn.Module) or _rows(head) is None:
        raise UnsupportedModel(
            f"{class_name(model)} has no language-model head: get_output_embeddings() gives "
            f"{type(head).__name__}, and no module projects onto {calls.vocabulary} words. Pass a "
            f"checkpoint that generates text."
        )
    weight = head.weight
    assert isinstance(weight, Tensor)
    if weight.is_meta:
        raise UnsupportedModel(
            f"the head of {class_name(model)} was moved out of memory, and the lens needs its weights. "
            f"Allow the main device more memory (max_memory), or use a 16-bit dtype."
        )
    if in_full(weight) is None:
        raise UnsupportedModel(
            f"the head of {class_name(model)} is quantised ({type(weight).__name__}, {weight.dtype}) in a "
            f"way that does not give its weights back; the lens needs them. Quantise again and leave the "
            f"head out (bitsandbytes: llm_int8_skip_modules=['lm_head'])."
        )
    return head


def _rows(module: nn.Module) -> int | None:
    weight = getattr(module, "weight", None)
    return int(weight.shape[0]) if isinstance(weight, Tensor) and weight.ndim == 2 else None


def find_blocks(model: Any, calls: Calls) -> tuple[nn.Module, ...]:
    """The outermost row of as many modules as the decoder declares layers that finished last.

    Raises:
        UnsupportedModel: no such row ran.
    """
    config = text_config(model)
    declared = {n for key in DEPTHS if isinstance(n := getattr(config, key, None), int)}
    # Where the number of layers has a name of its own, it is still a number of the configuration.
    lengths = declared or {n for n in vars(config).values() if isinstance(n, int) and n > 1}
    if declared and max(declared) < 1:
        raise UnsupportedModel(
            f"{class_name(model)} declares {max(declared)} decoder blocks: its config.json says so "
            f"(num_hidden_layers or its kin). Give the config.json that belongs to these weights."
        )
    rows = rows_of_modules(model)
    finished = {id(module): time for time, (module, _) in enumerate(calls.order)}
    fitting = {name: row for name, row in rows.items() if len(row) in lengths}
    # A row within a block (experts, say) is no row of blocks; nor is one of which nothing ran.
    ran = {
        name: time
        for name, row in fitting.items()
        if not any(_within(row, other) for other in fitting.values())
        and (time := max(finished.get(id(block), -1) for block in row)) >= 0
    }
    if ran:
        return _all_different(model, rows[max(ran, key=lambda name: ran[name])])
    seen = ", ".join(f"{name} ({len(row)})" for name, row in rows.items()) or "none"
    raise UnsupportedModel(
        f"{class_name(model)} declares {min(declared, default=None)} decoder blocks, but holds no "
        f"list of that many modules that ran (lists seen: {seen}). One block that is applied over and "
        f"over, or blocks that are not modules, cannot be told apart: this lens cannot read them."
    )


def rows_of_modules(model: nn.Module) -> dict[str, tuple[nn.Module, ...]]:
    """Modules in a row, by name: lists, dictionaries, sequences, and numbered parts of one module."""
    rows: dict[str, tuple[nn.Module, ...]] = {}
    for name, module in model.named_modules():
        if isinstance(module, (nn.ModuleList, nn.Sequential)):
            rows[name] = tuple(module)
        elif isinstance(module, nn.ModuleDict):
            rows[name] = tuple(module.values())
        else:
            numbered: dict[str, list[nn.Module]] = {}
            for part, child in module.named_children():
                stem = part.rstrip("0123456789")
                if stem != part:
                    numbered.setdefault(stem, []).append(child)
            rows |= {
                f"{name}.{stem}N".lstrip("."): tuple(row)
                for stem, row in numbered.items()
                if len(row) > 1
            }
    return {name: row for name, row in rows.items() if row}


def _within(row: tuple[nn.Module, ...], other: tuple[nn.Module, ...]) -> bool:
    inside = {id(m) for block in other for m in block.modules() if m is not block}
    return id(row[0]) in inside


def _all_different(model: Any, row: tuple[nn.Module, ...]) -> tuple[nn.Module, ...]:
    if len({id(block) for block in row}) < len(row):
        raise UnsupportedModel(
            f"{class_name(model)} applies the same block several times (its {len(row)} layers are "
            f"{len({id(block) for block in row})} modules): a block's output belongs to no one layer, so "
            f"there are no states to tell apart. This lens needs a plain stack of blocks."
        )
    return row
