"""Divergences between next-token distributions, in bits, on torch tensors. All reduce the last axis.

A true Jensen-Shannon divergence is symmetric, zero only between equal distributions, and at most one
bit. Two ways to it are kept on purpose. `jensen_shannon` is accurate at any size, because it adds
terms that are each as small as the disagreement of one token. `mixture_information` costs half as
much and loses digits where two distributions nearly agree: it subtracts entropies of several nats.
The lens reads everything the quick way and repeats the few small results (`PRECISE_BELOW`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LN2 = math.log(2.0)

FLOOR = 1e-37
"""Probabilities are lifted to this: logarithms stay finite, and the mass moved is below 1e-31."""

PRECISE_BELOW = 5e-3
"""Bits. Below this the quick form, whose absolute error is some 1e-6, is repeated accurately."""


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """JSD of probabilities p and q [..., V] (float32 or float64), in bits.

    With s = p + q and d = (p - q) / s it is sum(s ((1 + d) log(1 + d) + (1 - d) log(1 - d))) / 4: no
    term is negative, and an error common to a whole row (its normalisation) cancels.

    Returns:
        [...] bits in [0, 1]; symmetric, 0 for equal distributions.
    """
    total = (p + q).clamp_min_(FLOOR)
    lean = (p - q).div_(total)
    # A token that one side alone knows has d = 1: 0 * log(0), which the bound makes 0 * -100.
    terms = torch.log1p(lean).clamp_min_(-100.0).mul_(lean + 1)
    lean.neg_()
    terms.addcmul_(torch.log1p(lean).clamp_min_(-100.0), lean + 1)
    return terms.mul_(total).sum(-1).div_(4 * LN2).clamp_(0.0, 1.0)


def mixture_information(p: Tensor, q: Tensor, scratch: Tensor, log: Tensor, out: Tensor) -> Tensor:
    """sum((p + q) log(p + q)) in nats into `out`; NaN where both are zero.

    Args:
        p: probabilities [..., V].
        q: probabilities that broadcast with p.
        scratch: memory of their shape.
        log: memory of their shape.
        out: [...]
    """
    torch.add(p, q, out=scratch)
    torch.log(scratch, out=log)
    return torch.sum(log.mul_(scratch), -1, out=out)


def kullback_leibler(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Forward KL(p || q) from natural log-probabilities [..., V], in bits, never negative."""
    terms = (log_p - log_q).mul_(log_p.exp())
    # Both logarithms may be -inf for a token that neither side knows: it has nothing to say.
    return terms.nan_to_num_(nan=0.0, posinf=math.inf).sum(-1).div_(LN2).clamp_min_(0.0)


def entropy(log_p: Tensor) -> Tensor:
    """Entropy from natural log-probabilities [..., V], in bits."""
    return (log_p.exp() * log_p).nan_to_num_(nan=0.0).sum(-1).div_(-LN2).clamp_min_(0.0)
