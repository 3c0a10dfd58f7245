"""Reduction of one token: from its logits at all states to the numbers that a trace keeps.

The reduction walks over slices of the vocabulary that fit a core's cache, because what it costs is
passes over memory, not arithmetic. All views and results of a slice are laid out beforehand on a
`Workbench`: every call into torch gives up Python's global lock and takes it again, which is where
two threads wait for each other, so the inner loop makes no call that is not a pass.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lvlm_audit.traces.divergence import (
    FLOOR,
    LN2,
    PRECISE_BELOW,
    jensen_shannon,
    mixture_information,
)

TOP_K = 5
NUCLEUS_P = 0.9
NUCLEUS_MAX = 10

_SLICE = 4096
"""Vocabulary entries reduced at a time: [S, 4096] float32 is half a MB, a share of an L2 cache."""

_BLOCK = 64
"""The k best of a row lie in the k blocks with the highest maxima: topk then sees V/64 numbers."""


class Workbench:
    """Memory for the reduction of one token at a time; each thread has its own.

    Args:
        states: S.
        vocabulary: V.
        device: where the logits are.
    """

    def __init__(self, states: int, vocabulary: int, device: torch.device) -> None:
        def room(*shape: int) -> Tensor:
            return torch.empty(shape, dtype=torch.float32, device=device)

        self.width = min(_SLICE, vocabulary)
        self.p = p = room(states, vocabulary)
        one, two = room(states, self.width), room(states, self.width)
        parts = p.split(self.width, -1)
        totals = room(6, len(parts), states)
        self._totals = totals
        # Per slice: all states, all but the last, all but the first, the last as row and as vector;
        # scratch for all states and for all but the last; where the six sums go.
        self._slices = [
            (
                (part, part[:-1], part[1:], part[-1:], part[-1]),
                (one[:, :width], two[:, :width], one[:-1, :width], two[:-1, :width]),
                [*totals[:5, i].unbind(), totals[5, i, :-1]],
            )
            for i, part in enumerate(parts)
            if (width := part.shape[-1])
        ]

    def normalizer(self, y: Tensor, best: Tensor) -> tuple[Tensor, Tensor]:
        """Fills `p` with exp(y - best), and tells what turns it into probabilities.

        Args:
            y: [S, V] logits.
            best: [S, 1] the largest of each state.

        Returns:
            [S, 1] logarithm of the sum of exp(y), and [S, 1] the factor on `p`.
        """
        for ((part, *_), _, out), logits in zip(self._slices, y.split(self.width, -1), strict=True):
            torch.sum(torch.sub(logits, best, out=part).exp_(), -1, out=out[0])
        total = self._totals[0].sum(0).unsqueeze(-1)
        return best + total.log(), total.reciprocal()

    def sums(self, y: Tensor, less: Tensor, times: Tensor, mark: Tensor) -> tuple[Tensor, ...]:
        """Everything else that takes a pass over the vocabulary, in natural logarithms.

        Args:
            y: [S, V] becomes y - less: log-probabilities.
            less: [S, 1]
            times: [S, 1] `p` becomes p * times: probabilities.
            mark: [S, 1] log-probability of the emitted token.

        Returns:
            [S] sum of p_j log p_j; [S] sum of p_L log p_j; [S] how many tokens exceed `mark`; [S] sum
            of (p_j + p_L) log(p_j + p_L); [L] the same for p_j and p_(j+1).
        """
        for (parts, (one, two, one_, two_), out), log in zip(
            self._slices, y.split(self.width, -1), strict=True
        ):
            part, but_last, but_first, last, last_row = parts
            log.sub_(less)
            # What underflowed would make 0 * log 0; in loud early states of real models it is common.
            part.mul_(times).clamp_min_(FLOOR)
            # float32 counts exactly up to 2^24, and summing a bool tensor is ten times slower.
            torch.sum(torch.gt(log, mark, out=one), -1, out=out[3])
            torch.sum(torch.mul(part, log, out=one), -1, out=out[1])
            torch.mv(log, last_row, out=out[2])
            mixture_information(part, last, one, two, out[4])
            mixture_information(but_last, but_first, one_, two_, out[5])
        _, *whole, pairs = self._totals.sum(1).unbind()
        return (*whole, pairs[:-1])


def reduce_token(
    y: Tensor, bench: Workbench, emitted: Tensor, distractor: Tensor
) -> dict[str, Tensor]:
    """One token's numbers over all its states; names and units are those of `Trace`.

    Args:
        y: [S, V] float32 logits; overwritten by natural log-probabilities.
        bench: memory to work in.
        emitted: scalar id.
        distractor: scalar id, or -1.
    """
    p = bench.p
    top_logits, top_ids = top(y, min(TOP_K, y.shape[-1]))
    leaders = top_ids[:, 0]
    normalizer, factor = bench.normalizer(y, top_logits[:, :1])
    mark = y.index_select(-1, emitted.view(1)) - normalizer
    own, cross, above, with_last, with_next = bench.sums(y, normalizer, factor, mark)
    if not bool((own + cross).isfinite().all()):
        # A word that the model masks out (logit -inf) made these infinite. True NaN stays.
        y.clamp_min_(-1e4)
        own, cross, above, with_last, with_next = bench.sums(
            y, torch.zeros_like(factor), torch.ones_like(factor), mark
        )
    last = p[-1]
    # JSD = (sum p log p + sum q log q - sum (p + q) log((p + q) / 2)) / 2, and both sum to one.
    divergence = (own[:-1] + own[1:] - with_next).div_(2 * LN2).add_(1.0)
    to_final = (own + own[-1] - with_last).div_(2 * LN2).add_(1.0)
    kl = (own[-1] - cross).div_(LN2)
    for j in _small(divergence):
        divergence[j] = jensen_shannon(p[j], p[j + 1])
    for j in _small(to_final[:-1]):
        to_final[j] = jensen_shannon(p[j], last)
    for j in _small(kl[:-1]):
        kl[j] = torch.dot(last, y[-1] - y[j]).div_(LN2)
    to_final[-1] = kl[-1] = 0.0

    # One look-up for all ids whose probability is wanted at every state.
    wanted = torch.cat([emitted.view(1), distractor.clamp_min(0).view(1), leaders, nucleus(last)])
    found = p.index_select(-1, wanted)
    states = y.shape[0]
    return {
        "probability": found[:, 0],
        "rank": above,
        "divergence": divergence.clamp_(0.0, 1.0),
        "entropy": (-own).div_(LN2).clamp_min_(0.0),
        "kl_to_final": kl.clamp_min_(0.0),
        "jsd_to_final": to_final.clamp_(0.0, 1.0),
        "nucleus_mass": found[:, 2 + states :].sum(-1),
        "lead_probability": found[:, 2 : 2 + states],
        "top_ids": top_ids,
        "top_probs": p.gather(-1, top_ids),
        "top_logit": top_logits[-1, 0],
        "distractor": torch.where(distractor < 0, torch.nan, found[:, 1]),
        "lag": y[-1, leaders[-1]] - mark[-1, 0],
    }


def nucleus(p: Tensor) -> Tensor:
    """Ids of the smallest set that holds `NUCLEUS_P` of p [V], cut to `NUCLEUS_MAX`."""
    probabilities, ids = p.topk(min(NUCLEUS_MAX, p.shape[0]))
    before = probabilities.cumsum(0) - probabilities
    return ids[before < NUCLEUS_P]


def top(rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """`torch.topk` of rows [R, V] by block maxima: one cheap pass instead of a heap over everything.

    An entry among the k largest of a row lies in one of the k blocks with the largest maxima, or ties
    with one that does.
    """
    whole = rows.shape[1] // _BLOCK * _BLOCK
    if whole // _BLOCK < 4 * k:
        return torch.topk(rows, k, dim=-1)
    blocks = rows[:, :whole].unflatten(1, (-1, _BLOCK))
    chosen = blocks.amax(-1).topk(k, dim=-1).indices
    inside = blocks.gather(1, chosen.unsqueeze(-1).expand(-1, -1, _BLOCK)).flatten(1)
    ids = (chosen.unsqueeze(-1) * _BLOCK + torch.arange(_BLOCK, device=rows.device)).flatten(1)
    if whole < rows.shape[1]:
        inside = torch.cat([inside, rows[:, whole:]], dim=1)
        tail = torch.arange(whole, rows.shape[1], device=rows.device)
        ids = torch.cat([ids, tail.expand(rows.shape[0], -1)], dim=1)
    values, at = inside.topk(k, dim=-1)
    return values, ids.gather(1, at)


def _small(values: Tensor) -> list[int]:
    """Where the quick form's subtraction left too few digits."""
    return [j for j, value in enumerate(values.tolist()) if value < PRECISE_BELOW]
