"""Removing blocks for real: the decoder's list without them, numbered anew, its configuration to match.

No weight is copied, and all is put back on leaving. Whether a family survives it is not known in advance:
where a block's role hangs on its number, the result differs from skipping, and `exporting` finds out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import nn

from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.interventions.sets import checked_blocks
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.structure import DEPTHS, text_config

_NUMBERS = ("layer_idx", "layer_id", "layer_index", "layer_number", "block_idx")
"""Attributes in which modules keep the number of their block; it is their place in the cache."""

_LISTS_OF_BLOCKS = ("cross_attention_layers", "mlp_only_layers", "moe_layers", "full_attn_idxs")
"""Lists that name blocks by number. Others name blocks of towers, and are left alone."""

_FIRST_BLOCKS = ("first_k_dense_replace", "num_dense_layers")
"""Numbers that say how many of the first blocks are of another kind."""


@contextmanager
def removed(hooked: HookedModel, blocks: Iterable[int]) -> Iterator[tuple[int, ...]]:
    """While entered, `hooked.model` has some decoder blocks fewer: it runs, generates and saves without them.

    The lens, whose anatomy names all blocks, cannot read it meanwhile: use `hooked.model`.

    Args:
        hooked: an opened model.
        blocks: 0-based indices; none at all changes nothing.

    Yields:
        The blocks in ascending order.

    Raises:
        UsageError: an index out of range or named twice, or all blocks.
        UnsupportedModel: the blocks are in no list, or no configuration says how many there are.
    """
    chosen = checked_blocks(blocks, hooked.blocks)
    if not chosen:
        yield chosen
        return
    kept = [i for i in range(hooked.blocks) if i not in chosen]
    with ExitStack() as stack:
        owners = _swap(hooked, kept, stack)
        for new, old in enumerate(kept):
            for module in hooked.anatomy.blocks[old].modules():
                for name in _NUMBERS:
                    if module.__dict__.get(name) == old and new != old:
                        _set(stack, module, name, new)
        configs = _configs(hooked, owners)
        for holder in (*configs, *owners):
            _renumber(stack, holder, kept, hooked.blocks)
        yield chosen


def _swap(hooked: HookedModel, kept: Sequence[int], stack: ExitStack) -> list[nn.Module]:
    """Exchanges the list of blocks wherever it is held; the modules that hold it."""
    blocks = hooked.anatomy.blocks
    held = [
        (module, name, child)
        for module in hooked.model.modules()
        for name, child in module._modules.items()
        if isinstance(child, nn.ModuleList) and len(child) == len(blocks) and child[0] is blocks[0]
    ]
    if not held:
        raise UnsupportedModel(
            f"the blocks of {hooked.name} are in no list that could be made shorter. They can be skipped, "
            f"but not removed."
        )
    # The list's own class: some remember settings that the decoder asks for.
    shorter = nn.ModuleList(blocks[i] for i in kept)
    for module, name, child in held:
        stack.callback(module._modules.__setitem__, name, child)
        module._modules[name] = shorter
    return [module for module, _, _ in held]


def _configs(hooked: HookedModel, owners: Sequence[nn.Module]) -> list[Any]:
    """Every configuration object that says how many decoder blocks there are."""
    seen = [text_config(hooked.model), hooked.model.config]
    seen += [getattr(m, "config", None) for m in owners]
    seen += [
        getattr(module, "config", None) for b in hooked.anatomy.blocks for module in b.modules()
    ]
    found = {
        id(config): config
        for config in seen
        if config is not None
        and any(getattr(config, key, None) == hooked.blocks for key in _depth_keys(config))
    }
    if not found:
        raise UnsupportedModel(
            f"no configuration of {hooked.name} says that there are {hooked.blocks} decoder blocks, so none "
            f"can be made to say fewer. They can be skipped, but not removed."
        )
    return list(found.values())


def _depth_keys(holder: Any) -> tuple[str, ...]:
    # Where one configuration serves encoder and decoder, its other keys may mean the encoder.
    if getattr(holder, "is_encoder_decoder", False):
        return tuple(key for key in DEPTHS if "decoder" in key)
    return DEPTHS


def _renumber(stack: ExitStack, holder: Any, kept: Sequence[int], depth: int) -> None:
    new_of = {old: new for new, old in enumerate(kept)}
    for name, value in list(vars(holder).items()):
        if name in _LISTS_OF_BLOCKS and isinstance(value, (list, tuple)):
            _set(stack, holder, name, type(value)(new_of[i] for i in value if i in new_of))
        elif name in _FIRST_BLOCKS and isinstance(value, int):
            _set(stack, holder, name, sum(old < value for old in kept))
        elif (
            isinstance(value, (list, tuple))
            and len(value) == depth
            # As many as blocks by chance.
            and "token_id" not in name
        ):
            _set(stack, holder, name, type(value)(value[i] for i in kept))
    for key in _depth_keys(holder):
        if getattr(holder, key, None) == depth:
            _set(stack, holder, key, len(kept))


def _set(stack: ExitStack, holder: Any, name: str, value: Any) -> None:
    stack.callback(partial(setattr, holder, name, getattr(holder, name)))
    setattr(holder, name, value)
