"""Readout: from residual states to float32 logits, exactly as the model's own last steps would.

State -> final norm -> head -> whatever the architecture does to its logits (scale, soft-cap). All in
float32, also for a 16-bit model: 16-bit logits make divergences negative or 60 percent too large.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lvlm_audit.models.hooks import without_hooks
from lvlm_audit.models.product import HeadProduct

if TYPE_CHECKING:
    from lvlm_audit.models.anatomy import Anatomy

_BARRED = torch.finfo(torch.float32).min / 4
"""Logit of a word that cannot be emitted: its probability is 0, and no sum overflows."""


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
        self._product = HeadProduct(anatomy.weight.detach())
        bias = anatomy.bias
        self._bias: Tensor | None = None if bias is None else bias.detach().float() * self._scale
        self._scale *= anatomy.input_scale
        self._barred = torch.tensor(anatomy.barred, dtype=torch.long, device=self.device)
        self._streams = anatomy.streams
        self._norms = [_in_float32(norm) for norm in anatomy.norms]

    @property
    def vocabulary(self) -> int:
        """V, rows of the head (it may exceed the tokenizer's vocabulary)."""
        return int(self._product.weight.shape[0])

    @property
    def width(self) -> int:
        """d, of what the head reads."""
        return int(self._product.weight.shape[1])

    @property
    def device(self) -> torch.device:
        """Where the head lies."""
        return self._product.weight.device

    def normed(self, states: Tensor) -> Tensor:
        """States [..., streams * d] after the final norm, float32 [..., d]."""
        *_, normed = self.on_the_way(states)
        return normed

    def on_the_way(self, states: Tensor) -> Iterator[Tensor]:
        """States as they are, and after each module before the head; the last is what the head reads."""
        states = states.to(self.device, torch.float32)
        rows = self._streams.apart(states.flatten(0, -2))
        yield states
        for norm in self._norms:
            rows = norm(rows)
            yield rows.reshape(*states.shape[:-1], -1)

    def logits(self, states: Tensor, out: Tensor | None = None) -> Tensor:
        """Float32 logits [R, V] of already normed float32 states [R, d].

        Args:
            states: rows to read.
            out: float32 [R, V] to write into, row-contiguous.
        """
        if out is None:
            out = torch.empty(states.shape[0], self.vocabulary, device=self.device)
        if self._scale != 1.0:
            # The head is linear: scaling d numbers a row is cheaper than scaling V.
            states = states * self._scale
        self._product(states, out)
        if self._bias is not None:
            out += self._bias
        if self._cap is not None:
            out.div_(self._cap).tanh_().mul_(self._cap)
        if len(self._barred):
            out[:, self._barred] = _BARRED
        return out


def _in_float32(norm: nn.Module) -> nn.Module:
    """A float32 copy of a norm without anybody's hooks on it."""
    twin = without_hooks(copy.deepcopy(norm))
    return twin.float().eval().requires_grad_(False)
