"""What the published code shows of one answer, from the formulas of docs/method.md alone: float64 NumPy, SciPy
and transformers' own hidden states. No code of the product is used here.

Raw lens: the head on states 0..L-1 as they are; state L is what transformers reports, after the final norm.
Divergence: half of KL(M||P) + KL(M||Q) with M = (P + Q) / 2, averaged over the vocabulary, in nats.
Heat map: each transition divided by its own maximum over the tokens of the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import kl_div, log_softmax

from tests import reference
from tests.reference import Array


@dataclass
class Figures:
    """The published figures of one answer.

    Attributes:
        tokens: [T] emitted ids.
        probability: [T, S, V] of every word, so of every candidate.
        index: [T, L] the published divergence.
        heat_map: [T, L] the same, scaled by transition.
    """

    tokens: list[int]
    probability: Array
    index: Array
    heat_map: Array


def index(p: Array, q: Array) -> float:
    """(KL(M||P) + KL(M||Q)) / 2 averaged over words, nats; p and q must not hold zeros."""
    m = (p + q) / 2
    # SciPy's kl_div adds q - p to each term; summed over distributions that is nothing.
    return float((kl_div(m, p) + kl_div(m, q)).sum() / 2 / len(p))


def figures(model: Any, inputs: dict[str, Any], new_tokens: int) -> Figures:
    """From a model that generates by itself."""
    said = reference.answer(model, inputs, new_tokens)
    p = np.exp(log_softmax(_logits(model, said.states), axis=-1))
    # State L speaks as the model does.
    own = np.exp(log_softmax(said.logits, axis=-1))
    np.testing.assert_allclose(p[:, -1], own, rtol=2e-3, atol=1e-6)
    between = np.array([[index(t[j], t[j + 1]) for j in range(len(t) - 1)] for t in p])
    return Figures(said.tokens, p, between, between / between.max(axis=0))


def _logits(model: Any, states: Array) -> Array:
    """The head, and the soft-cap that the decoder's configuration declares (PaliGemma 2)."""
    head = model.get_output_embeddings()
    logits = states @ head.weight.detach().double().numpy().T
    if head.bias is not None:
        logits = logits + head.bias.detach().double().numpy()
    cap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)
    return logits if cap is None else cap * np.tanh(logits / cap)
