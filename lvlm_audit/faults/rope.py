"""A wrong base of the rotary positions: a number in config.json that nobody sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.faults.change import Change
from lvlm_audit.models.structure import text_config

_FREQUENCIES = "inv_freq"


def wrong_base(change: Change, seed: int, *, factor: float) -> None:
    """The base (rope_theta) times a factor, in the configuration and in the frequencies made of it."""
    del seed
    hooked = change.hooked
    config = text_config(hooked.model)
    bases = list(_bases(config))
    inside = _decoder_of(change)
    buffers = [buffer for name, buffer in inside.named_buffers() if name.endswith(_FREQUENCIES)]
    if not bases or not buffers:
        raise UnsupportedModel(
            f"{hooked.name} has no rotary positions whose base could be wrong (its decoder's configuration "
            f"has {'a' if bases else 'no'} rope_theta, its modules {len(buffers)} tables of frequencies)."
        )
    for holder in bases:
        if isinstance(holder, Mapping):
            change.item(holder, "rope_theta", holder["rope_theta"] * factor)
        else:
            change.attribute(holder, "rope_theta", holder.rope_theta * factor)
    for buffer in buffers:
        # Frequency i of n is base ** (-i / n): the old base need not be known.
        step = torch.arange(buffer.shape[-1], device=buffer.device) / buffer.shape[-1]
        change.numbers(buffer, buffer.double() * factor ** -step.double())


def _bases(config: Any) -> Iterator[Any]:
    """Whatever in a configuration holds a `rope_theta`: itself, or the tables of one or several kinds."""
    if isinstance(getattr(config, "rope_theta", None), (int, float)):
        yield config
    tables = getattr(config, "rope_parameters", None)
    if isinstance(tables, Mapping):
        yield from (
            table
            for table in (tables, *tables.values())
            if isinstance(table, Mapping) and isinstance(table.get("rope_theta"), (int, float))
        )


def _decoder_of(change: Change) -> torch.nn.Module:
    """The innermost module that holds the blocks' row and its frequencies, so that no tower's are touched."""
    model, first = change.hooked.model, change.hooked.anatomy.blocks[0]
    holders = [
        module
        for module in model.modules()
        if module is not first
        and any(part is first for part in module.modules())
        and any(name.endswith(_FREQUENCIES) for name, _ in module.named_buffers())
    ]
    found = min(holders, key=lambda module: sum(1 for _ in module.modules()), default=model)
    assert isinstance(found, torch.nn.Module)
    return found
