"""Quantised weights: torchao's int8, and rounding to as many levels of our own, which needs no package."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from lvlm_audit.errors import UsageError
from lvlm_audit.faults.change import Change, matrices
from lvlm_audit.models.quiet import quiet


def rounded(change: Change, seed: int, *, bits: int) -> None:
    """Every matrix of the decoder's blocks rounded to 2 ** bits - 1 levels a row, without groups.

    The model computes with the numbers that such weights stand for; no memory is saved.
    """
    del seed
    largest = 2 ** (bits - 1) - 1
    for block in change.hooked.anatomy.blocks:
        for weight in matrices(block):
            full = weight.float()
            step = full.abs().amax(dim=-1, keepdim=True).clamp_min(1e-30) / largest
            change.numbers(weight, (full / step).round().clamp(-largest, largest) * step)


def torchao_int8(change: Change, seed: int) -> None:
    """torchao's weight-only int8 on every linear layer of the decoder's blocks."""
    del seed
    try:
        with quiet():
            from torchao.quantization import Int8WeightOnlyConfig, quantize_
    except ImportError as error:
        raise UsageError(
            'this fault needs the package torchao: pip install "lvlm-audit[torchao]".'
        ) from error
    for block in change.hooked.anatomy.blocks:
        for module in block.modules():
            if isinstance(module, nn.Linear):
                before = module.weight
                assert isinstance(before, nn.Parameter)
                # torchao puts another tensor in its place, and words of its own into the module's repr.
                change.parameter(module, "weight", before)
                change.undo(_without(module, "extra_repr"))
        with quiet(), torch.no_grad():
            quantize_(block, Int8WeightOnlyConfig())


def _without(module: nn.Module, name: str) -> Callable[[], object]:
    def back() -> None:
        module.__dict__.pop(name, None)

    return back
