"""Skipping blocks: the residual stream passes through unchanged, and everything else goes on as ever.

A skipped block still runs, and its output is exchanged for its input. That costs no more than the whole
model does, and keeps right what others read of the block besides its output, in every family: the KV
cache, whose length in block 0 tells all the others their positions, keys and values that later blocks
share, position biases. What removing a block saves is measured where it is really removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.interventions.sets import checked_blocks
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.hooks import entering, residual


@contextmanager
def skipped(
    hooked: HookedModel, blocks: Iterable[int], *, positions: Tensor | None = None
) -> Iterator[tuple[int, ...]]:
    """While entered, every forward pass skips some decoder blocks; generation and its cache included.

    No weight is copied or changed. Recording inside sees the skipping: the state after a skipped block
    equals the state before it.

    Args:
        hooked: an opened model.
        blocks: 0-based indices; none at all changes nothing.
        positions: [B, n] bool, where to skip; other positions pass through the block as ever (ShortV,
            arXiv 2504.00502). It concerns passes over n positions, the prompt's: a later step is not
            skipped. None skips everywhere.

    Yields:
        The blocks in ascending order.

    Raises:
        UsageError: an index out of range or named twice, or all blocks.
        UnsupportedModel: a block whose output cannot stand for its input, or positions where several
            residual streams lie side by side.
    """
    chosen = checked_blocks(blocks, hooked.blocks)
    if positions is not None and hooked.anatomy.streams.count > 1:
        raise UnsupportedModel(
            f"{hooked.name} hands on {hooked.anatomy.streams.count} residual streams side by side; single "
            f"positions cannot be skipped in it, whole blocks can."
        )
    with ExitStack() as stack:
        for index in chosen:
            before, after = _passing(index, positions)
            block = hooked.anatomy.blocks[index]
            stack.callback(block.register_forward_pre_hook(before, with_kwargs=True).remove)
            stack.callback(block.register_forward_hook(after).remove)
        yield chosen


def _passing(
    index: int, positions: Tensor | None
) -> tuple[Callable[..., None], Callable[[nn.Module, Any, Any], Any]]:
    entered: list[Tensor] = []

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        # A copy: some blocks add to their input where it lies.
        entered[:] = [residual(entering(args, kwargs)).clone()]

    def after(block: nn.Module, _: Any, output: Any) -> Any:
        (state,) = entered
        entered.clear()
        left = residual(output)
        if left.shape != state.shape:
            raise UnsupportedModel(
                f"block {index} ({type(block).__name__}) turns a stream of shape {tuple(state.shape)} into "
                f"{tuple(left.shape)}: it cannot be skipped."
            )
        if positions is not None:
            if state.shape[:2] != positions.shape:
                return output
            state = torch.where(positions.to(state.device)[..., None], state, left)
        return _with(output, state)

    return before, after


def _with(output: Any, state: Tensor) -> Any:
    """A block's output with another residual stream in it: see `models.hooks.residual`."""
    if isinstance(output, (tuple, list)):
        return type(output)([_with(output[0], state), *output[1:]])
    return state
