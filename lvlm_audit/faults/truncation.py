"""Image tokens cut off: the last features of every picture never reach the decoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.faults.change import Change
from lvlm_audit.models.hooks import entering, residual


def truncated(change: Change, seed: int, *, kept: float) -> None:
    """A share of each prompt's image positions is kept; in the others zeros enter the first block."""
    del seed
    hooked = change.hooked
    places = hooked.images
    if places is None or not (places.ids or places.mask):
        raise UnsupportedModel(
            f"images hold no positions of the prompts of {hooked.name} ({places}), so none can be cut off."
        )
    lost: list[Tensor | None] = [None]

    def asked(_: nn.Module, __: Any, inputs: Mapping[str, Any]) -> None:
        held = places.of(inputs)
        lost[0] = None if held is None else _beyond(held, kept)

    def entered(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        state = residual(entering(args, kwargs))
        where = lost[0]
        if where is not None and state.shape[: where.ndim] == where.shape:
            state.masked_fill_(where.to(state.device)[..., None], 0)

    change.undo(hooked.model.register_forward_pre_hook(asked, with_kwargs=True).remove)
    first = hooked.anatomy.blocks[0]
    change.undo(first.register_forward_pre_hook(entered, with_kwargs=True).remove)


def _beyond(held: Tensor, kept: float) -> Tensor:
    """[B, n] which image positions come after the kept share of their row's."""
    place = held.cumsum(1)
    return held & (place > torch.ceil(kept * place[:, -1:].float()))
