"""What a trace should say, worked out another way: no code of the product is used here.

`generate()` with `output_hidden_states` and `output_logits` gives states and logits; the rest is
float64 NumPy and SciPy by the formulas of docs/method.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import log_softmax
from scipy.stats import entropy

Array = npt.NDArray[np.float64]


@dataclass
class Answer:
    """One generated answer.

    Attributes:
        tokens: [T] emitted ids.
        states: [T, S, d] float64; state L after the final norm, as transformers reports it.
        logits: [T, V] the model's own.
    """

    tokens: list[int]
    states: Array
    logits: Array


def answer(model: Any, inputs: dict[str, Any], new_tokens: int, row: int = 0) -> Answer:
    """Greedy generation by transformers alone; ends with the end of sequence if it comes."""
    out = model.generate(
        **inputs,
        max_new_tokens=new_tokens,
        do_sample=False,
        return_dict_in_generate=True,
        output_hidden_states=True,
        output_logits=True,
    )
    said = out.sequences[row, inputs["input_ids"].shape[1] :].tolist()
    ends = model.generation_config.eos_token_id
    ends = {ends} if isinstance(ends, int) else set(ends)
    last = next((i for i, word in enumerate(said) if word in ends), len(said) - 1)
    said = said[: last + 1]
    states = [
        torch.stack([layer[row, -1] for layer in step]).double().numpy()
        for step in out.hidden_states[: len(said)]
    ]
    logits = [step[row].double().numpy() for step in out.logits[: len(said)]]
    return Answer(said, np.array(states), np.array(logits))


def rms_norm(x: Array, weight: Array, eps: float) -> Array:
    """By its definition."""
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * weight


def distributions(states: Array, norm: Any, head: Any) -> Array:
    """[T, S, V] log-probabilities of a Llama-like model: norm all states but the last, then the head."""
    weight = norm.weight.detach().double().numpy()
    eps = getattr(norm, "variance_epsilon", None) or norm.eps
    rows = np.concatenate([rms_norm(states[:, :-1], weight, eps), states[:, -1:]], axis=1)
    return log_softmax(rows @ head.weight.detach().double().numpy().T, axis=-1)


def jsd(p: Array, q: Array) -> float:
    """Bits. (SciPy's `jensenshannon` is the square root of this, and NaN where rounding is negative.)"""
    m = (p + q) / 2
    return float(entropy(p, m, base=2) + entropy(q, m, base=2)) / 2


def curves(log_p: Array, tokens: list[int]) -> dict[str, Array]:
    """Every array of a trace that a distribution determines, from [T, S, V] log-probabilities."""
    p = np.exp(log_p)
    t, s, _ = p.shape
    nucleus = np.zeros((t, s))
    for i in range(t):
        order = np.argsort(-p[i, -1])
        count = int(np.searchsorted(np.cumsum(p[i, -1][order]), 0.9)) + 1
        nucleus[i] = p[i][:, order[: min(count, 10)]].sum(-1)
    said = np.array(tokens)
    own = np.take_along_axis(p, said[:, None, None], axis=2)
    return {
        "probability": own[..., 0],
        "rank": (p > own).sum(-1),
        "divergence": np.array(
            [[jsd(p[i, j], p[i, j + 1]) for j in range(s - 1)] for i in range(t)]
        ),
        "jsd_to_final": np.array([[jsd(p[i, j], p[i, -1]) for j in range(s)] for i in range(t)]),
        "entropy": entropy(p, base=2, axis=-1),
        "kl_to_final": np.array(
            [[entropy(p[i, -1], p[i, j], base=2) for j in range(s)] for i in range(t)]
        ),
        "nucleus_mass": nucleus,
    }


def assert_as_generated(model: Any, inputs: Any, trace: Any, room: float) -> None:
    """A trace's tokens and their last probabilities are those of transformers' own generation.

    Args:
        model: opened by transformers, not by us.
        inputs: of one probe.
        trace: of its answer.
        room: largest difference of probabilities.
    """
    own = model.generate(
        **inputs,
        do_sample=False,
        max_new_tokens=len(trace.token_ids),
        output_logits=True,
        return_dict_in_generate=True,
    )
    assert own.sequences[0, -len(trace.token_ids) :].tolist() == trace.token_ids.tolist()
    theirs = torch.stack([step[0] for step in own.logits]).double().softmax(-1)
    emitted = theirs.gather(1, torch.tensor(trace.token_ids)[:, None])[:, 0]
    np.testing.assert_allclose(trace.probability[:, -1], emitted, rtol=0, atol=room)
