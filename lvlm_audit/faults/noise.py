"""Noise on weights: on all as little as rounding makes, on one decoder block, on the vision tower."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from lvlm_audit.faults.change import Change, drawn, generator, matrices
from lvlm_audit.models.eyes import find_eyes

_MOVED = 1 / 12
"""Of weights by one number each: in the mean square as much as rounding once more, whose error is even."""


def neighbours(change: Change, seed: int) -> None:
    """One weight in twelve is moved to a neighbouring number of its dtype, up or down."""
    source = generator(seed)
    for weight in change.hooked.model.parameters():
        if weight.is_floating_point():
            drawn_once = torch.rand(weight.shape, generator=source).to(weight.device)
            towards = torch.where(drawn_once < _MOVED / 2, torch.inf, -torch.inf).to(weight.dtype)
            moved = torch.nextafter(weight.detach(), towards)
            change.numbers(weight, torch.where(drawn_once < _MOVED, moved, weight.detach()))


def block(change: Change, seed: int, *, strength: float) -> None:
    """Noise on the matrices of the block in the middle, in units of each matrix's standard deviation."""
    blocks = change.hooked.anatomy.blocks
    _noised(change, seed, matrices(blocks[len(blocks) // 2]), strength)


def tower(change: Change, seed: int, *, strength: float) -> None:
    """The same on the blocks of the vision tower."""
    rows = find_eyes(change.hooked).tower
    _noised(change, seed, [weight for one in rows for weight in matrices(one)], strength)


def _noised(change: Change, seed: int, weights: Iterable[nn.Parameter], strength: float) -> None:
    source = generator(seed)
    for weight in weights:
        full = weight.float()
        change.numbers(weight, full + strength * full.std() * drawn(weight, source))
