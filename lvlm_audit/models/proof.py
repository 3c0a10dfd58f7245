"""Proof, given when a model is opened, that the lens reads what the model says.

The model answers two tokens, and transformers reports logits and hidden states of both steps, the second
with the cache. That run carries no hook of ours. In a second run of the same `generate()` the states are
hooked as in every recording. Held against each other: the lens at state L gives the reported logits, and
the hooked states are the reported ones. A model that fails is refused with the numbers seen: a wrong
curve is worse than none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lvlm_audit.errors import ModelBroken, UnsupportedModel
from lvlm_audit.models.anatomy import Anatomy
from lvlm_audit.models.greedy import greedy
from lvlm_audit.models.hooks import hooks_restored, tapped
from lvlm_audit.models.readout import Readout
from lvlm_audit.models.structure import class_name, refusing

TOLERANCE = {torch.float32: 2e-4, torch.float16: 6e-3, torch.bfloat16: 4e-2}
"""Largest difference of logits, as a share of the largest logit, that the model's own dtype explains."""

_STEPS = 2
"""The first step holds the whole prompt, the second reads the cache."""


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


def prove(
    model: Any,
    anatomy: Anatomy,
    inputs: Mapping[str, Any],
    *,
    asked: str,
    start_id: int | None = None,
) -> Proof:
    """Holds anatomy and hooks against two steps of the model's own generation.

    Args:
        model: the model, in evaluation mode.
        anatomy: what was found of it.
        inputs: as `generate()` takes them, one row.
        asked: what the inputs hold, for messages.
        start_id: what an encoder-decoder's answer starts from.

    Raises:
        CannotRun: the model does not generate from such inputs.
        ModelBroken: the model's own logits are NaN.
        UnsupportedModel: the lens or the states disagree; the message gives the numbers.
    """
    own = _reference(model, anatomy, inputs, start_id)
    steps = _hooked(model, anatomy, inputs, start_id)
    name = class_name(model)
    if len(steps) != len(own):
        raise UnsupportedModel(
            f"{name} ran its blocks {len(steps)} times while it generated {len(own)} tokens ({asked}): a "
            f"state would not belong to one emitted token. Something is generated differently here."
        )
    readout = Readout(anatomy)
    worst = Proof(asked, 0.0, 0.0, 0.0, None)
    for seen, (logits, reported) in zip(steps, own, strict=True):
        if bool(logits.isnan().any()):
            raise ModelBroken(
                f"{name} answers NaN on {asked}: its weights or its dtype ({model.dtype}) are unusable. "
                f"Try dtype float32; if NaN remains, the checkpoint is broken."
            )
        if sorted(seen) != list(range(anatomy.states)):
            raise UnsupportedModel(
                f"of the {anatomy.states} states of {name}, {len(seen)} were reached ({asked}): its last "
                f"blocks do not run on such inputs."
            )
        last = seen[len(anatomy.blocks)]
        *halfway, _ = readout.on_the_way(last)
        passed = [*halfway, readout.normed(last)] if anatomy.norms else [readout.normed(last)]
        agreed = _compare_logits(model, anatomy, readout.logits(passed[-1]), logits, asked)
        states = _compare_states(model, anatomy, seen, passed, reported, asked)
        worst = _worse(worst, replace(agreed, state_difference=states))
    return worst


def _reference(
    model: Any, anatomy: Anatomy, inputs: Mapping[str, Any], start_id: int | None
) -> list[tuple[Tensor, tuple[Tensor, ...] | None]]:
    """Per step logits [1, V] and states [1, d], as transformers reports them; no hook of ours."""
    with hooks_restored(model):
        made = _generated(model, inputs, start_id, reported=True)
        logits = getattr(made, "logits", None)
        if not logits:
            raise UnsupportedModel(
                f"generate() of {class_name(model)} reports no logits (output_logits=True gives "
                f"{type(made).__name__} without them), so nothing can be held against the lens."
            )
    names = ("decoder_hidden_states", "hidden_states")
    steps = next((found for name in names if (found := getattr(made, name, None))), None)
    if steps is None or len(steps) != len(logits):
        steps = [None] * len(logits)
    return [
        (row[:, : anatomy.vocabulary].float(), _reported(states, anatomy))
        for row, states in zip(logits, steps, strict=True)
    ]


def _hooked(
    model: Any, anatomy: Anatomy, inputs: Mapping[str, Any], start_id: int | None
) -> list[dict[int, Tensor]]:
    """The states at the predicting position of each step, as a recording takes them."""
    steps: list[dict[int, Tensor]] = []
    latest: Tensor | None = None

    def receive(j: int, state: Tensor) -> None:
        nonlocal latest
        if j == 0:
            steps.append({})
        seen = steps[-1]
        seen[j] = seen[j - 1] if j > 0 and state is latest else state[:, -1].clone()
        latest = state

    with hooks_restored(model), tapped(anatomy.blocks, receive, anatomy.streams):
        _generated(model, inputs, start_id, reported=False)
    return steps


def _generated(
    model: Any, inputs: Mapping[str, Any], start_id: int | None, *, reported: bool
) -> Any:
    with torch.inference_mode(), refusing(model, inputs):
        return greedy(
            model,
            inputs,
            max_new_tokens=_STEPS,
            end_ids=[],
            padding_id=0,
            start_id=start_id,
            reported=reported,
        )


def _worse(one: Proof, two: Proof) -> Proof:
    states = [p.state_difference for p in (one, two) if p.state_difference is not None]
    return Proof(
        one.asked,
        max(one.logit_difference, two.logit_difference),
        max(one.log_probability_difference, two.log_probability_difference),
        max(one.largest_logit, two.largest_logit),
        max(states, default=None),
    )


def _compare_logits(model: Any, anatomy: Anatomy, read: Tensor, own: Tensor, asked: str) -> Proof:
    read = read.to(own.device)
    # Barred words are minus infinity on both sides, each in its own way.
    kept = torch.ones(own.shape[-1], dtype=torch.bool, device=own.device)
    kept[list(anatomy.barred)] = False
    own, read = own[:, kept], read[:, kept]
    name, bound = class_name(model), tolerance(model.dtype)
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
    return Proof(asked, difference, logs, scale, None)


def _remedy(anatomy: Anatomy) -> str:
    if anatomy.head_quantised:
        return (
            "The head is quantised and rounds its inputs too, so that its weights alone do not give its "
            "logits. Quantise again and leave the head out."
        )
    return "Something after the last block is not understood; please report the architecture."


def _reported(states: Any, anatomy: Anatomy) -> tuple[Tensor, ...] | None:
    if not states or any(not isinstance(state, Tensor) for state in states):
        return None
    return tuple(anatomy.streams.together(state)[:, -1].clone() for state in states)


def _compare_states(
    model: Any,
    anatomy: Anatomy,
    seen: Mapping[int, Tensor],
    passed: Sequence[Tensor],
    reported: tuple[Tensor, ...] | None,
    asked: str,
) -> float | None:
    if reported is None or reported[0].shape != seen[0].shape:
        return None
    name = class_name(model)
    # A block that was left out repeats the state before it, and is not reported.
    ran = [seen[j] for j in range(anatomy.states) if j == 0 or seen[j] is not seen[j - 1]]
    if len(reported) != len(ran):
        raise UnsupportedModel(
            f"{name} reports {len(reported)} hidden states, but {len(ran) - 1} blocks ran at "
            f"{anatomy.paths.get('blocks')}, which makes {len(ran)}. The lens would misnumber its layers."
        )
    # The last one is reported after the final norm by most families, before it by some, or halfway. Mamba
    # and its like report no embedding, but each block's output and then the final norm's.
    usual = [*([state] for state in ran[:-1]), [ran[-1], *passed]]
    outputs = [*([state] for state in ran[1:]), passed]
    numberings = [_differences(reported, usual), _differences(reported, outputs)]
    bound = tolerance(model.dtype)
    worst = min(numberings, key=lambda found: max(share for share, _, _ in found))
    if max(share for share, _, _ in worst) > bound:
        j = next(j for j, (share, _, _) in enumerate(numberings[0]) if share > bound)
        _, difference, reach = numberings[0][j]
        raise UnsupportedModel(
            f"state {j} of {name} as hooked differs from the one it reports by {difference:.4g}, "
            f"where values reach {reach:.4g} ({asked}). Found: {anatomy.describe()}."
        )
    return max(difference for _, difference, _ in worst)


def _differences(
    reported: Sequence[Tensor], candidates: Sequence[Sequence[Tensor]]
) -> list[tuple[float, float, float]]:
    """Per reported state the least difference to a candidate: as a share, as it is, and what it is of."""
    found = []
    for theirs, ours in zip(reported, candidates, strict=True):
        theirs = theirs.float()
        reach = max(1e-6, float(theirs.abs().max()))
        least = min(
            (
                float((one.float().to(theirs.device) - theirs).abs().max())
                for one in ours
                if one.shape == theirs.shape
            ),
            default=float("inf"),
        )
        # What is no number is no agreement.
        least = least if least == least else float("inf")
        found.append((least / reach, least, reach))
    return found
