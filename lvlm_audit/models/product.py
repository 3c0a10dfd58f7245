"""The head's product in float32, with a 16-bit head used where it lies.

A bfloat16 weight is exact as it is, so only the states have to be brought down to bfloat16, and they
lose nothing that float32 sums would keep if they are split: high = bfloat16(x), low = bfloat16(x - high).
Processors with tiles for bfloat16 (AMX) make two such products, summed in float32, sooner than one of
float32. Relative to a row's largest logit the result is good to about 1e-5; 16-bit logits are to 4e-3.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_SLICE_BYTES = 16 * 2**20
"""Head rows that are cast to float32 at a time; the cast costs little while it stays in cache."""


class HeadProduct:
    """states @ weight.T for one head; keeps the memory of its casts.

    Args:
        weight: [V, d] of any float dtype; never copied as a whole.
        in_halves: whether to split the states; None: where it is exact and quicker.
    """

    def __init__(self, weight: Tensor, *, in_halves: bool | None = None) -> None:
        self.weight = weight
        self._in_halves = _halves_are_quicker(weight) if in_halves is None else in_halves
        rows = min(len(weight), max(1, _SLICE_BYTES // (4 * weight.shape[1])))
        self._rows = len(weight) if weight.dtype == torch.float32 else rows
        self._cast: Tensor | None = None

    def __call__(self, states: Tensor, out: Tensor) -> None:
        """Writes logits.

        Args:
            states: [R, d] float32.
            out: [R, V] float32, row-contiguous.
        """
        if not self._in_halves:
            with float32_products("ieee"):
                for columns, weight in self._slices():
                    torch.mm(states, weight, out=out[:, columns])
            return
        high = states.bfloat16().float()
        low = (states - high).bfloat16().float()
        # Float32 operands that are bfloat16 numbers already: the conversion inside is exact.
        with float32_products("bf16"):
            for columns, weight in self._slices():
                part = out[:, columns]
                torch.mm(high, weight, out=part)
                torch.addmm(part, low, weight, out=part)

    def _slices(self) -> Iterator[tuple[slice, Tensor]]:
        """Columns of the logits and [d, ...] float32 weights for them."""
        for start in range(0, len(self.weight), self._rows):
            part = self.weight[start : start + self._rows]
            if part.dtype != torch.float32:
                if self._cast is None:
                    self._cast = torch.empty_like(part, dtype=torch.float32)
                part = self._cast[: len(part)].copy_(part)
            yield slice(start, start + len(part)), part.t()


def _halves_are_quicker(weight: Tensor) -> bool:
    tiles = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return weight.dtype == torch.bfloat16 and weight.device.type == "cpu" and bool(tiles())


@contextmanager
def float32_products(precision: str) -> Iterator[None]:
    """How float32 products are computed meanwhile, whatever the user has set.

    Args:
        precision: "ieee" for true float32, no TF32 and no shortcuts; "bf16" for operands that are
            rounded to bfloat16 and summed in float32 (CPU; elsewhere it stays "ieee").
    """
    cuda, cpu = torch.backends.cuda.matmul, torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = cuda.fp32_precision, cpu.fp32_precision
    cuda.fp32_precision, cpu.fp32_precision = "ieee", precision
    try:
        yield
    finally:
        cuda.fp32_precision, cpu.fp32_precision = before
