"""The published code's divergence between neighbouring states (docs/method.md#the-paper-index).

For distributions P and Q over V words and M = (P + Q) / 2 the code computes

    paper_index = mean over words of (M log(M / P) + M log(M / Q)) / 2        [nats per vocabulary entry]

which is `torch.nn.functional.kl_div(log P, M, reduction="none").mean(-1)`, averaged over P and Q. The
arguments are reversed against a Jensen-Shannon divergence: M log(M / P) has no bound where P vanishes. The
sum over words is known as arithmetic-geometric mean divergence (Taneja 1995), since

    M log(M / P) + M log(M / Q) = 2 M log(M / sqrt(P Q)) = 2 M log cosh((log P - log Q) / 2).

The last form is what is computed: no term is negative, nothing is subtracted from something of its own
size, and nothing divides by a probability. Check value: P = (.7, .2, .1), Q = (.1, .2, .7) give 0.110224.

P = 0 after rounding: logarithms come from the logits, as `log_softmax` has them, so a word whose
probability underflows still counts with its finite logarithm. A word that is masked out (logit -inf) in both
states counts 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

_SLICE = 4096
"""Vocabulary entries reduced at a time: a slice of all states stays in a core's cache."""

_LINEAR = 20.0
"""Beyond this log cosh x is |x| - log 2 to the last digit, and sinh(x)^2 still far from overflow."""

_MASKED = -1e30


def paper_index(logits: Tensor) -> Tensor:
    """The published code's divergence of neighbouring states of one token.

    Args:
        logits: [S, V] float32 or float64; not changed.

    Returns:
        [S-1] nats per vocabulary entry: symmetric, 0 for equal distributions, no upper bound.
    """
    total = logits.logsumexp(-1, keepdim=True)
    found = torch.zeros_like(total[1:, 0])
    for part in logits.split(_SLICE, -1):
        log_p = (part - total).clamp_min_(_MASKED)
        p = log_p.exp()
        found += _log_cosh((log_p[1:] - log_p[:-1]).div_(2)).mul_(p[1:] + p[:-1]).sum(-1)
    return found.div_(2 * logits.shape[-1])


def _log_cosh(x: Tensor) -> Tensor:
    """log cosh x; accurate where x is small, where log(cosh x) would lose its digits."""
    size = x.abs_()
    near = size.clamp_max(_LINEAR)
    return near.sinh().square_().log1p_().div_(2).add_(size - near)
