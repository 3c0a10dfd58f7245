"""Agreement: a tiny model recorded and replayed, held against transformers' own generation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lvlm_audit import Probe, find_stages, record
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.hooks import count_hooks
from lvlm_audit.traces.recorder import replay

TOKENS = 4


def generated(model: Any, inputs: dict[str, Any]) -> Any:
    """What transformers says, before anything of ours touches the model."""
    return model.generate(
        **inputs, do_sample=False, max_new_tokens=TOKENS,
        output_logits=True, output_hidden_states=True, return_dict_in_generate=True,
    )  # fmt: skip


def assert_agrees(
    hooked: HookedModel, inputs: dict[str, Any], own: Any, *, outputs: bool = False
) -> None:
    """Hooks change nothing and are taken away; tokens, probabilities and states are transformers'.

    Args:
        hooked: the opened model.
        inputs: what it is asked.
        own: of `generated`.
        outputs: the model reports no embedding: each block's output, and then the final norm's.
    """
    carried = count_hooks(hooked.model)
    _assert_hooks_change_nothing(hooked, inputs)
    probe = Probe.prepared(inputs)
    trace = record(hooked, [probe], max_new_tokens=TOKENS, keep_features=True)[0]
    again = replay(hooked, [probe], [trace.token_ids])[0]
    assert count_hooks(hooked.model) == carried

    steps = len(trace.token_ids)
    assert steps == len(own.logits)
    assert trace.token_ids.tolist() == own.sequences[0, -steps:].tolist()
    theirs = torch.stack([step[0] for step in own.logits]).double().softmax(-1)
    emitted = theirs.gather(1, torch.tensor(trace.token_ids)[:, None])[:, 0]
    np.testing.assert_allclose(trace.probability[:, -1], emitted, rtol=1e-3, atol=1e-6)
    best = theirs.topk(trace.top_probs.shape[-1]).values
    np.testing.assert_allclose(trace.top_probs[:, -1], best, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(again.probability, trace.probability, rtol=1e-2, atol=1e-4)

    features = trace.features
    assert features is not None
    # A block that was left out (cross-attention without an image) repeats a state and is not reported.
    ran = [
        j
        for j in range(hooked.blocks + 1)
        if j == 0 or (features[:, j] != features[:, j - 1]).any()
    ]
    states = _decoder_states(own, len(ran))
    assert states is not None or hooked.proofs[0].state_difference is None
    if states is not None:
        for place, j in enumerate(ran[1:] if outputs else ran[:-1]):
            # Features are kept as float16, and held at its largest where a state is beyond.
            reference = np.clip(states[:, place].numpy(), -65504.0, 65504.0)
            room = 2e-3 * np.abs(reference).max()
            if (
                j < hooked.blocks
            ):  # the last state is kept as the block gave it, and reported normed
                np.testing.assert_allclose(features[:, j], reference, rtol=2e-3, atol=room)
    assert find_stages([trace]).blocks == hooked.blocks


def _assert_hooks_change_nothing(hooked: HookedModel, inputs: dict[str, Any]) -> None:
    inputs = hooked.inputs([Probe.prepared(inputs)])
    with torch.inference_mode():
        plain = hooked.model(**inputs, use_cache=False).logits
        with hooked.tapped(lambda *_: None):
            watched = hooked.model(**inputs, use_cache=False).logits
    assert torch.equal(plain, watched)


def _decoder_states(own: Any, count: int) -> Tensor | None:
    """[T, S, streams * d] at the predicting positions, as transformers reports them."""
    steps = getattr(own, "decoder_hidden_states", None) or getattr(own, "hidden_states", None)
    if not steps or len(steps[0]) != count:
        return None
    made = []
    for step in steps:
        rows = [
            (state.movedim(0, 2) if state.ndim == 4 and state.shape[0] > 1 else state)[0, -1]
            for state in step[:-1]
        ]
        made.append(torch.stack([row.flatten() for row in rows]))
    return torch.stack(made).float()
