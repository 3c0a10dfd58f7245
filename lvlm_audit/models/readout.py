"""Readout: from residual states to float32 logits, exactly as the model's own last steps would.

State -> final norm -> head -> whatever the architecture does to its logits (scale, soft-cap). All in
float32, also for a 16-bit model: 16-bit logits make divergences negative or 60 percent too large.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from lvlm_audit.models.anatomy import Anatomy

_SLICE_BYTES = 8 * 2**20
"""Head rows that are cast to float32 at a time; the cast costs little while it stays in cache."""


class Readout:
    """Norm and head of one model, read in float32.

    Nothing of the model is changed. The norm, a few thousand numbers, is copied; the head is used
    where it lies, and a 16-bit one is cast slice by slice, so that no float32 copy of it is kept.

    Args:
        anatomy: where norm and head are, and what happens after the head.
    """

    def __init__(self, anatomy: Anatomy) -> None:
        self._scale = anatomy.logit_scale
        self._cap = anatomy.soft_cap
        self._weight = anatomy.weight.detach()
        bias = getattr(anatomy.head, "bias", None)
        self._bias: Tensor | None = None if bias is None else bias.detach().float() * self._scale
        self._norms = [_in_float32(norm) for norm in anatomy.norms]

    @property
    def vocabulary(self) -> int:
        """V, rows of the head (it may exceed the tokenizer's vocabulary)."""
        return int(self._weight.shape[0])

    @property
    def device(self) -> torch.device:
        """Where the head lies."""
        return self._weight.device

    def normed(self, states: Tensor) -> Tensor:
        """States [..., d] after the final norm, float32."""
        states = states.to(self.device, torch.float32)
        for norm in self._norms:
            states = norm(states)
        return states

    def scratch(self) -> Tensor:
        """Memory for casting slices of the head, to be passed to `logits` again and again."""
        vocabulary, width = self._weight.shape
        rows = min(vocabulary, max(1, _SLICE_BYTES // (4 * width)))
        if self._weight.dtype == torch.float32:
            rows = 0
        return torch.empty(rows, width, dtype=torch.float32, device=self.device)

    def logits(
        self, states: Tensor, out: Tensor | None = None, scratch: Tensor | None = None
    ) -> Tensor:
        """Logits [R, V] of already normed float32 states [R, d]; call it within `full_float32`.

        Args:
            states: rows to read.
            out: float32 [R, V] to write into, row-contiguous.
            scratch: from `scratch()`, not in use by another thread.
        """
        if out is None:
            out = torch.empty(states.shape[0], self.vocabulary, device=self.device)
        if self._scale != 1.0:
            # The head is linear: scaling d numbers a row is cheaper than scaling V.
            states = states * self._scale
        for start, weight in self._slices(self.scratch() if scratch is None else scratch):
            torch.mm(states, weight.t(), out=out[:, start : start + weight.shape[0]])
        if self._bias is not None:
            out += self._bias
        if self._cap is not None:
            out.div_(self._cap).tanh_().mul_(self._cap)
        return out

    def _slices(self, scratch: Tensor) -> Iterator[tuple[int, Tensor]]:
        weight = self._weight
        if weight.dtype == torch.float32:
            yield 0, weight
            return
        for start in range(0, len(weight), len(scratch)):
            part = weight[start : start + len(scratch)]
            yield start, scratch[: len(part)].copy_(part)


def _in_float32(norm: nn.Module) -> nn.Module:
    """A float32 copy of a norm without anybody's hooks on it."""
    twin = copy.deepcopy(norm)
    for module in twin.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    return twin.float().eval().requires_grad_(False)


@contextmanager
def full_float32() -> Iterator[None]:
    """Float32 products in true float32: no TF32, no bfloat16 shortcuts, whatever the user has set."""
    backends = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)  # type: ignore[attr-defined]
    before = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = "ieee"
    try:
        yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision
