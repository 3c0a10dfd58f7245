"""Layer Contribution (ShortV, arXiv 2504.00502): what a block's work on visual or on text tokens is worth.

LC is the divergence of the model's output when the block leaves the specified tokens as they are. Ours is
the mean forward KL over the tokens of the model's own answer, replayed; text tokens are the prompt's and
the answer's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lvlm_audit.compression.nomination import Nomination, least
from lvlm_audit.interventions.effects import Reference, Said
from lvlm_audit.interventions.skipping import skipped
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.readout import Readout
from lvlm_audit.progress import OnProgress, Step
from lvlm_audit.traces.batching import batches
from lvlm_audit.traces.divergence import kullback_leibler
from lvlm_audit.traces.generation import read_ends
from lvlm_audit.traces.recorder import DEFAULT_BATCH_SIZE

_CHUNK = 64
"""Rows read through the head at a time."""


def layer_contribution(
    hooked: HookedModel,
    whole: Reference,
    most: int,
    *,
    batch_size: int = DEFAULT_BATCH_SIZE,
    on_progress: OnProgress | None = None,
) -> tuple[Nomination, Nomination]:
    """Skips every block at visual tokens only, and at text tokens only.

    Args:
        hooked: the model that the reference is of.
        whole: what the whole model said.
        most: largest set.
        batch_size: probes run together.
        on_progress: called after each batch.

    Returns:
        Visual and text; with the reason where it cannot be measured.
    """
    said = list(whole.said.values())
    reason = _obstacle(hooked, said)
    totals, tokens = np.zeros((2, hooked.blocks)), 0
    readout = Readout(hooked.anatomy)
    start = 0
    step = Step(on_progress, "layer contribution", 0 if reason else len(said))
    for group in () if reason else batches([one.probe for one in said], batch_size):
        batch = said[start : start + len(group)]
        start += len(batch)
        inputs = hooked.extended(hooked.inputs(group), [one.ids[:-1] for one in batch])
        visual = hooked.image_positions(inputs)
        if visual is None or not bool(visual.any()):
            reason = "images hold no positions of the prompt, or it is not known which"
            break
        for block in range(hooked.blocks):
            for kind, positions in enumerate((visual, ~visual)):
                with skipped(hooked, (block,), positions=positions):
                    ends = read_ends(hooked, inputs, [len(one.ids) for one in batch])
                totals[kind, block] += _divergence(readout, batch, ends)
        tokens += sum(len(one.ids) for one in batch)
        step.reached(start, tokens)
    visual_scores, text_scores = ((), ()) if reason else totals / tokens
    return (
        _nomination("visual", visual_scores, most, reason),
        _nomination("text", text_scores, most, reason),
    )


def _obstacle(hooked: HookedModel, said: Sequence[Said]) -> str:
    if hooked.anatomy.streams.count > 1:
        return (
            "several residual streams lie side by side, of which single positions cannot be skipped"
        )
    if hooked.replays_in_one_pass is False:
        return (
            "this model takes its answer step by step, so there is no one pass to skip positions in"
        )
    if any(not hooked.image_token_ids.isdisjoint(one.ids[:-1]) for one in said):
        return "an answer holds an image token"
    return ""


@torch.inference_mode()
def _divergence(readout: Readout, batch: Sequence[Said], states: Sequence[Tensor]) -> float:
    """Sum over all answers' tokens of KL(whole || skipped), bits; states [T, S, d] of each answer."""
    total = 0.0
    whole = torch.cat([one.ends for one in batch])
    ends = readout.normed(torch.cat([own[:, -1] for own in states]))
    for mine, theirs in zip(whole.split(_CHUNK), ends.split(_CHUNK), strict=True):
        log_p, log_q = (
            readout.logits(torch.cat([mine, theirs])).log_softmax(-1).unflatten(0, (2, -1))
        )
        total += float(kullback_leibler(log_p, log_q).double().sum())
    return total


def _nomination(kind: str, scores: Sequence[float], most: int, reason: str) -> Nomination:
    values = tuple(float(v) for v in scores)
    return Nomination(
        method=f"Layer Contribution, {kind}",
        source="ShortV, arXiv 2504.00502",
        definition=(
            f"mean forward KL over the tokens of the model's own answers when the block leaves {kind} "
            f"tokens as they are"
        ),
        unit="bits a token",
        scores=values,
        sets=least(values, most),
        reason=reason,
    )
