"""Noise on weights: on all as little as rounding makes, on one decoder block, on the vision tower."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from lvlm_audit.faults.change import Change, drawn, generator, matrices
from lvlm_audit.models.eyes import find_eyes


def rounding(change: Change, seed: int) -> None:
    """Every weight to the number it is, or to a neighbouring one, as its dtype has them."""
    source = generator(seed)
    for weight in change.hooked.model.parameters():
        if weight.is_floating_point():
            step = torch.finfo(weight.dtype).eps
            factor = 1 + step * (torch.rand(weight.shape, generator=source) - 0.5)
            # In float64 the factor of a float32 weight is not rounded away before it is applied.
            change.numbers(weight, weight.double() * factor.to(weight.device).double())


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
