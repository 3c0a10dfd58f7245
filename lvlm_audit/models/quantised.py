"""Quantised weights: which method a checkpoint names, and its numbers in full where the lens needs them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

PLAIN = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def quantised_by(config: Any) -> str | None:
    """The method that a configuration names ("torchao", "bitsandbytes", ...); None: not quantised."""
    found = getattr(config, "quantization_config", None)
    if found is None:
        return None
    method = found.get("quant_method") if isinstance(found, dict) else found.quant_method
    return str(getattr(method, "value", method))


def is_quantised(weight: Tensor) -> bool:
    """Whether a weight is stored as something else than the numbers it stands for."""
    ordinary = type(weight) in (Tensor, torch.nn.Parameter)
    return weight.dtype not in PLAIN or not ordinary


def in_full(weight: Tensor) -> Tensor | None:
    """The numbers that a weight stands for, as a plain tensor; None where it does not say.

    torchao's tensors know how to give them; others keep parts of them elsewhere (bitsandbytes in a state
    beside the weight).
    """
    if not is_quantised(weight):
        return weight
    dequantize = getattr(weight, "dequantize", None)
    if type(weight) in (Tensor, torch.nn.Parameter) or dequantize is None:
        return None
    with torch.no_grad():
        full: Tensor = dequantize()
    return full if type(full) is Tensor and full.dtype in PLAIN else None
