"""DeCo: decoding with preceding-layer knowledge (Wang et al. 2025, arXiv 2410.11779, section 3).

Candidates are the output's most probable tokens, the smallest set that holds top_p of the probability,
at most top_k. Among the states 20 to 28 of 32 the anchor is the one where any candidate has the highest
probability; its logits, weighted by that probability, are added to the output's:

    score(x) = logits_L(x) + alpha * max_c p_anchor(c) * logits_anchor(x)   for candidates, else minus infinity

As in the authors' code; each row chooses its own anchor. For other depths the states are the same shares of
it (`metrics.premature`). Of several settings the one for greedy decoding of LLaVA-1.5 is the default.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from lvlm_audit.errors import UsageError
from lvlm_audit.interventions.decoding import rescoring
from lvlm_audit.metrics.premature import chosen_states, deco_states
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.traces.generation import Rescore


@dataclass(frozen=True, slots=True)
class DeCo:
    """Adds the logits of the preceding state that is surest of a candidate.

    Attributes:
        alpha: strength; 0 is plain greedy decoding.
        top_p: probability that the candidates hold together.
        top_k: candidates at most.
        states: where an anchor is looked for; None: 20 to 28 of 32 as shares of the depth.

    Raises:
        UsageError: a value out of range.
    """

    alpha: float = 0.6
    top_p: float = 0.9
    top_k: int = 20
    states: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.alpha < math.inf:
            raise UsageError(f"DeCo's alpha is a number from 0 on; it is {self.alpha!r}.")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"DeCo's top_p lies in (0, 1]; it is {self.top_p!r}.")
        if self.top_k < 1:
            raise UsageError(f"DeCo needs at least one candidate; top_k is {self.top_k!r}.")

    @property
    def name(self) -> str:
        """With its states, if they are not the paper's."""
        return "DeCo" if self.states is None else f"DeCo {list(self.states)}"

    @property
    def description(self) -> str:
        """What is added."""
        where = "5/8 to 7/8 of the depth" if self.states is None else "given states"
        return (
            f"the output plus {self.alpha:g} times the logits of the state, at {where}, that is surest of one "
            f"of the output's top {self.top_p:g} candidates (at most {self.top_k})"
        )

    @property
    def source(self) -> str:
        """The paper."""
        return "Wang et al. 2025 (DeCo), arXiv 2410.11779"

    @property
    def blocks(self) -> tuple[int, ...]:
        """None: every block runs."""
        return ()

    @contextmanager
    def applied(self, model: HookedModel) -> Iterator[Rescore | None]:
        """See `decoding.Intervention.applied`. Without states to look at, a model answers as ever.

        Raises:
            UsageError: states that the model does not have.
        """
        blocks, own = model.blocks, self.states
        states = deco_states(blocks) if own is None else chosen_states(own, blocks)
        yield rescoring(
            model,
            states,
            partial(anchored, alpha=self.alpha, top_p=self.top_p, top_k=self.top_k),
        )


@torch.inference_mode()
def anchored(
    logits: Tensor, preceding: Tensor, *, alpha: float, top_p: float, top_k: int
) -> Tensor:
    """DeCo's scores.

    Args:
        logits: [B, V] of the output.
        preceding: [B, C, V] of the states where an anchor is looked for.
        alpha: strength.
        top_p: probability that the candidates hold together.
        top_k: candidates at most.

    Returns:
        [B, V].
    """
    probability, ids = logits.softmax(-1).topk(min(top_k, logits.shape[-1]))
    before = probability.cumsum(-1) - probability
    candidate = torch.zeros_like(logits, dtype=torch.bool).scatter_(-1, ids, before < top_p)
    # Of equals, greedy decoding takes the first: it may not be the one that topk kept.
    candidate.scatter_(-1, logits.argmax(-1, keepdim=True), True)
    believed = preceding.softmax(-1).masked_fill(~candidate[:, None], 0.0).amax(-1)
    surest, anchor = believed.max(-1)
    added = preceding[torch.arange(len(anchor), device=anchor.device), anchor]
    scores = logits + alpha * surest[:, None] * added
    return scores.masked_fill(~candidate, -torch.inf)
