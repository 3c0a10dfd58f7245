"""DoLa: decoding by contrasting layers (Chuang et al. 2024, arXiv 2309.03883, section 2).

With q_L the output distribution and q_j that of a premature state j:

    M = argmax over j in the bucket of JSD(q_L, q_j)
    V_head = {x: q_L(x) >= alpha * max q_L}, alpha = 0.1
    score(x) = log q_L(x) - log q_M(x) in V_head, minus infinity elsewhere

transformers has moved its own DoLa out of the package into code that is fetched and run, which we do not;
its buckets are kept (`metrics.premature`). Departures from the published code, which follow the text:
each row chooses its own M (the code averages the divergence over the batch, so that an answer depends on
its neighbours), the JSD is a true one (the code has half of KL(mixture || q_L) + KL(mixture || q_j)), and
states pass the final norm (the code applies the head to them as they are). The paper adds a repetition
penalty of 1.2; here there is none, because the base has none.
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
from lvlm_audit.metrics.premature import Bucket, dola_states
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.traces.divergence import jensen_shannon
from lvlm_audit.traces.generation import Rescore


@dataclass(frozen=True, slots=True)
class DoLa:
    """Emits the token whose probability grew most since the state that differs most from the output.

    Attributes:
        layers: candidate states: "low" or "high" half of the model, or states.
        relative_top: alpha, of the most probable token's probability; tokens below it are never emitted.
        strength: factor on log q_M; 1 is the paper's, 0 plain greedy decoding.

    Raises:
        UsageError: a value out of range.
    """

    layers: Bucket | tuple[int, ...] = "high"
    relative_top: float = 0.1
    strength: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.relative_top <= 1:
            raise UsageError(f"DoLa's relative_top lies in (0, 1]; it is {self.relative_top!r}.")
        if not 0 <= self.strength < math.inf:
            raise UsageError(f"DoLa's strength is a number from 0 on; it is {self.strength!r}.")

    @property
    def name(self) -> str:
        """With its bucket."""
        chosen = self.layers if isinstance(self.layers, str) else list(self.layers)
        return f"DoLa {chosen}"

    @property
    def description(self) -> str:
        """What is contrasted."""
        where = f"the {self.layers} half" if isinstance(self.layers, str) else "given states"
        return (
            f"the output against its most different premature state, out of {where}; only tokens with "
            f"at least {self.relative_top:g} of the greatest probability"
        )

    @property
    def source(self) -> str:
        """The paper."""
        return "Chuang et al. 2024 (DoLa), arXiv 2309.03883"

    @property
    def blocks(self) -> tuple[int, ...]:
        """None: every block runs."""
        return ()

    @contextmanager
    def applied(self, model: HookedModel) -> Iterator[Rescore | None]:
        """See `decoding.Intervention.applied`. A model without candidate states answers as ever.

        Raises:
            UsageError: states that the model does not have.
        """
        states = dola_states(self.layers, model.blocks, tied=model.anatomy.tied)
        yield rescoring(
            model,
            states,
            partial(contrasted, relative_top=self.relative_top, strength=self.strength),
        )


@torch.inference_mode()
def contrasted(
    logits: Tensor, premature: Tensor, *, relative_top: float, strength: float
) -> Tensor:
    """DoLa's scores, up to a constant a row.

    Args:
        logits: [B, V] of the output.
        premature: [B, C, V] of the candidate states.
        relative_top: alpha.
        strength: factor on log q_M.

    Returns:
        [B, V].
    """
    early = premature.log_softmax(-1)
    far = jensen_shannon(logits.softmax(-1)[:, None], early.exp()).argmax(-1)
    base = early[torch.arange(len(far), device=far.device), far]
    allowed = logits >= logits.amax(-1, keepdim=True) + math.log(relative_top)
    # The output's own normalisation is left out: it ranks nothing, and rounding could make two tokens equal.
    return (logits - strength * base).masked_fill(~allowed, -torch.inf)
