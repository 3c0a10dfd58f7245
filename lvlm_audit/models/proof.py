"""Proof, given when a model is opened, that the lens reads what the model says.

Two statements are held against one real forward pass: the lens at state L gives the model's own
logits, and the hooked states are those that the model reports as `output_hidden_states`. A model that
fails is refused with the numbers seen: a wrong curve is worse than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lvlm_audit.errors import ModelBroken, UnsupportedModel
from lvlm_audit.models.anatomy import Anatomy
from lvlm_audit.models.hooks import hooks_restored, tapped
from lvlm_audit.models.readout import Readout
from lvlm_audit.models.structure import run

TOLERANCE = {torch.float32: 2e-4, torch.float16: 6e-3, torch.bfloat16: 4e-2}
"""Largest difference of logits, as a share of the largest logit, that the model's own dtype explains."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was compared at opening.

    Attributes:
        asked: "image and text" or "text".
        logit_difference: largest |lens - model| over the vocabulary.
        log_probability_difference: the same after log-softmax, nats.
        largest_logit: the scale of these.
        state_difference: largest |hooked - reported| over all states; None if the model reports none.
    """

    asked: str
    logit_difference: float
    log_probability_difference: float
    largest_logit: float
    state_difference: float | None


def tolerance(dtype: torch.dtype) -> float:
    """`TOLERANCE` of a dtype; of the coarsest for one that is not listed."""
    return TOLERANCE.get(dtype, max(TOLERANCE.values()))


def prove(model: Any, anatomy: Anatomy, inputs: Mapping[str, Any], *, asked: str) -> Proof:
    """Holds anatomy and hooks against one forward pass.

    Args:
        model: the model, in evaluation mode.
        anatomy: what was found of it.
        inputs: a forward pass's keyword arguments, one row.
        asked: what the inputs hold, for messages.

    Raises:
        ModelBroken: the model's own logits are NaN.
        UnsupportedModel: the lens or the states disagree; the message gives the numbers.
    """
    seen: dict[int, Tensor] = {}

    latest: Tensor | None = None

    def receive(j: int, state: Tensor) -> None:
        nonlocal latest
        seen[j] = seen[j - 1] if j > 0 and state is latest else state[:, -1].clone()
        latest = state

    tap = tapped(anatomy.blocks, receive, anatomy.streams)
    with hooks_restored(model), torch.inference_mode(), tap:
        output = run(model, inputs, output_hidden_states=True)
        own = output.logits[:, -1].float()
        assert latest is not None
        reported = _reported(output, anatomy, latest.shape[1])
        if sorted(seen) != list(range(anatomy.states)):
            raise UnsupportedModel(
                f"of the {anatomy.states} states of {type(model).__name__}, {len(seen)} were reached "
                f"({asked}): its last blocks do not run on such inputs."
            )
        readout = Readout(anatomy)
        normed = readout.normed(seen[len(anatomy.blocks)])
        read = readout.logits(normed).to(own.device)
        # Barred words are minus infinity on both sides, each in its own way.
        kept = torch.ones(own.shape[-1], dtype=torch.bool, device=own.device)
        kept[list(anatomy.barred)] = False
        own, read = own[:, kept], read[:, kept]
    if bool(own.isnan().any()):
        raise ModelBroken(
            f"{type(model).__name__} answers NaN on {asked}: its weights or its dtype "
            f"({model.dtype}) are unusable. Try dtype float32; if NaN remains, the checkpoint is broken."
        )
    name, bound = type(model).__name__, tolerance(model.dtype)
    scale = max(1.0, float(own.abs().max()))
    difference = float((read - own).abs().max())
    logs = float((read.log_softmax(-1) - own.log_softmax(-1)).abs().max())
    gap = float(own.max() - own.gather(-1, read.argmax(-1, keepdim=True)).min())
    if not (difference <= bound * scale and logs <= 2 * bound * scale and gap <= bound * scale):
        raise UnsupportedModel(
            f"the lens at the last state of {name} does not give the model's own logits ({asked}): "
            f"largest difference {difference:.4g} in logits and {logs:.4g} in log-probabilities, where "
            f"logits reach {scale:.4g} and {model.dtype} explains {bound * scale:.4g}. Found: "
            f"{anatomy.describe()}. {_remedy(anatomy)}"
        )
    return Proof(
        asked=asked,
        logit_difference=difference,
        log_probability_difference=logs,
        largest_logit=scale,
        state_difference=_compare_states(model, anatomy, seen, normed, reported, asked),
    )


def _remedy(anatomy: Anatomy) -> str:
    if anatomy.head_quantised:
        return (
            "The head is quantised and rounds its inputs too, so that its weights alone do not give its "
            "logits. Quantise again and leave the head out."
        )
    return "Something after the last block is not understood; please report the architecture."


def _reported(output: Any, anatomy: Anatomy, positions: int) -> tuple[Tensor, ...] | None:
    name = "decoder_hidden_states" if anatomy.encoder_decoder else "hidden_states"
    states = getattr(output, name, None)
    if not states or any(state is None for state in states):
        return None
    states = [anatomy.streams.together(state) for state in states]
    # BLIP reports its image tower's states under this name: they are of other positions.
    if states[0].shape[1] != positions:
        return None
    return tuple(state[:, -1].clone() for state in states)


def _compare_states(
    model: Any,
    anatomy: Anatomy,
    seen: Mapping[int, Tensor],
    normed: Tensor,
    reported: tuple[Tensor, ...] | None,
    asked: str,
) -> float | None:
    if reported is None:
        return None
    name, bound = type(model).__name__, tolerance(model.dtype)
    # A block that was left out repeats the state before it, and is not reported.
    ran = [seen[j] for j in range(anatomy.states) if j == 0 or seen[j] is not seen[j - 1]]
    if len(reported) != len(ran):
        raise UnsupportedModel(
            f"{name} reports {len(reported)} hidden states, but {len(ran) - 1} blocks ran at "
            f"{anatomy.paths.get('blocks')}, which makes {len(ran)}. The lens would misnumber its layers."
        )
    worst = 0.0
    for j, theirs in enumerate(reported):
        # The last one is reported after the final norm by most families, before it by some.
        candidates = [ran[j], normed] if j == len(ran) - 1 else [ran[j]]
        theirs = theirs.float()
        scale = max(1e-6, float(theirs.abs().max()))
        difference = min(
            float((ours.float().to(theirs.device) - theirs).abs().max())
            for ours in candidates
            if ours.shape == theirs.shape
        )
        if not difference <= bound * scale:
            raise UnsupportedModel(
                f"state {j} of {name} as hooked differs from the one it reports by {difference:.4g}, "
                f"where values reach {scale:.4g} ({asked}). Found: {anatomy.describe()}."
            )
        worst = max(worst, difference)
    return worst
