"""Teacher forcing: the states with which a model predicts a given text.

One forward pass over prompt and text is enough for a causal decoder. Some are not causal in the
prompt (PaliGemma attends to a prefix in both directions, and would take the text for prefix); that is
found out by trying once, and such a model is led through the text step by step instead.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lvlm_audit.errors import RecordingError
from lvlm_audit.models.asking import Inputs, Prompt
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.proof import tolerance
from lvlm_audit.probes.probe import Probe
from lvlm_audit.traces.generation import force, read_ends

_TRIAL_TOKENS = 3


def forced_states(
    hooked: HookedModel, probes: Sequence[Probe], texts: Sequence[Sequence[int]]
) -> tuple[list[Tensor], list[Prompt]]:
    """States of each probe's text, said after its prompt.

    Args:
        hooked: the model.
        probes: one batch (see `HookedModel.inputs`).
        texts: token ids per probe, none empty.

    Returns:
        Per probe [T, S, d] in the model's dtype, and what its prompt became.

    Raises:
        RecordingError: a text is empty, or holds ids that the model does not have.
    """
    for probe, text in zip(probes, texts, strict=True):
        if len(text) == 0:
            raise RecordingError(f"probe {probe.id!r}: the text to replay has no tokens.")
        if min(text) < 0 or max(text) >= hooked.vocabulary:
            raise RecordingError(
                f"probe {probe.id!r}: the text to replay holds ids up to {max(text)}, but the model has "
                f"{hooked.vocabulary} tokens. Tokenise it with this model's tokenizer."
            )
    if hooked.replays_in_one_pass is None:
        hooked.replays_in_one_pass = _try(hooked, probes[0], texts[0])
    inputs = hooked.inputs(probes)
    prompts = hooked.prompts(inputs)
    # In one pass, an image token that the text holds would be taken for another image.
    shows_none = hooked.image_token_ids.isdisjoint(i for text in texts for i in text[:-1])
    if hooked.replays_in_one_pass and shows_none:
        # The last token's own state predicts what would follow: it is not asked.
        whole = hooked.extended(inputs, [text[:-1] for text in texts])
        return read_ends(hooked, whole, [len(text) for text in texts]), prompts
    return _step_by_step(hooked, inputs, texts), prompts


def _step_by_step(
    hooked: HookedModel, inputs: Inputs, texts: Sequence[Sequence[int]]
) -> list[Tensor]:
    steps: list[Tensor] = []
    force(hooked, inputs, texts, lambda states, _: steps.append(states))
    return [
        torch.stack([step[row] for step in steps[: len(text)]]) for row, text in enumerate(texts)
    ]


def _try(hooked: HookedModel, probe: Probe, text: Sequence[int]) -> bool | None:
    """Both ways on the first tokens of one text. A difference that the dtype explains is none.

    None when the states are not finite: a broken probe says nothing about the next.
    """
    text = list(text[:_TRIAL_TOKENS])
    if len(text) < 2:
        text = [*text, *text]
    inputs = hooked.inputs([probe])
    slow = _step_by_step(hooked, inputs, [text])[0].float()
    if not bool(slow.isfinite().all()):
        return None
    try:
        fast = read_ends(hooked, hooked.extended(inputs, [text[:-1]]), [len(text)])[0].float()
    except (ValueError, RuntimeError):
        return False
    if fast.shape != slow.shape:
        return False
    # Rounding differs between one long and many short products, and grows with depth.
    bound = 4 * tolerance(hooked.dtype) * slow.abs().amax(-1).clamp_min(1e-6)
    return bool(((fast - slow).abs().amax(-1) <= bound).all())
