"""The effect recorder: what a skip set does to answers that the whole model has given.

The whole model is asked once, and what it needs to be held against is kept: a state per token. Each
skip set then costs one forward pass over prompt and answer and one row of the head a token, twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lvlm_audit.errors import LvlmAuditError, ProbesFailed, TraceError, UsageError
from lvlm_audit.interventions.sets import checked_blocks
from lvlm_audit.interventions.skipping import skipped
from lvlm_audit.models.asking import Prompt
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.readout import Readout
from lvlm_audit.probes.probe import Probe
from lvlm_audit.traces.assembly import remembered
from lvlm_audit.traces.batching import Failures, at_least_one, each_batch
from lvlm_audit.traces.divergence import LN2, jensen_shannon, kullback_leibler
from lvlm_audit.traces.effects import EffectTrace
from lvlm_audit.traces.generation import Rescore, generate
from lvlm_audit.traces.recorder import DEFAULT_BATCH_SIZE, OnProgress
from lvlm_audit.traces.replaying import forced_states
from lvlm_audit.traces.texts import Texts

_CHUNK = 64
"""Rows read through the head at a time: [64, V] float32, three of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """One answer of the whole model, with what is kept of how it was said."""

    probe: Probe
    prompt: Prompt
    ids: list[int]
    ends: Tensor
    """[T, d] last states, normed, float32: their logits are the whole model's."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What the whole model says, kept so that any number of interventions is held against it.

    Attributes:
        said: by probe id, in the order of the probes.
    """

    said: Mapping[str, Said]

    def of(self, probe_ids: Iterable[str]) -> Reference:
        """The same for some probes only."""
        return Reference({i: self.said[i] for i in probe_ids})


def reference(
    model: HookedModel,
    probes: Sequence[Probe],
    texts: Sequence[Sequence[int]],
    *,
    batch_size: int = DEFAULT_BATCH_SIZE,
    on_progress: OnProgress | None = None,
) -> Reference:
    """Reads the whole model's last states over given answers, its own normally.

    Args:
        model: an opened model, no intervention under way.
        probes: what is asked; ids are unique.
        texts: per probe the token ids of its answer (`trace.token_ids`).
        batch_size: probes run together.
        on_progress: called after each batch.

    Raises:
        ProbesFailed: some probes failed; raised after all were tried.
        UsageError: the sequences differ in length, or batch_size is below 1.
    """
    if len(probes) != len(texts):
        raise UsageError(f"{len(texts)} answers were given for {len(probes)} probes.")
    readout = Readout(model.anatomy)
    said = [[int(i) for i in row] for row in texts]
    failures: Failures = []

    def make(here: slice) -> list[Said | LvlmAuditError]:
        batch = probes[here]
        states, prompts = forced_states(model, batch, said[here])
        _tell(on_progress, here.stop, len(probes))
        return [
            Said(probe, prompt, ids, _ends(readout, own))
            for probe, prompt, ids, own in zip(batch, prompts, said[here], states, strict=True)
        ]

    found = {one.probe.id: one for one in each_batch(probes, batch_size, make, failures)}
    if failures:
        raise ProbesFailed(failures, len(probes))
    return Reference(found)


def iter_effects(
    model: HookedModel,
    whole: Reference,
    blocks: Iterable[int],
    *,
    name: str = "skip",
    max_new_tokens: int | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
    on_progress: OnProgress | None = None,
) -> Iterator[EffectTrace]:
    """Replays the whole model's answers with blocks skipped, and asks anew if wanted.

    Args:
        model: the model that the reference is of.
        whole: what the whole model said.
        blocks: which to skip, 0-based; none at all gives no effect.
        name: of the intervention, as reports call it.
        max_new_tokens: ask every question under the skipping too, for answers of at most so many tokens;
            None: only replay.
        batch_size: probes run together.
        on_progress: called after each batch.

    Yields:
        One per answer, in order.

    Raises:
        ProbesFailed: at the end, if some probes failed.
        UsageError: a set that cannot be skipped (`interventions.sets`), or a count below 1.
    """
    chosen = checked_blocks(blocks, model.blocks)
    if max_new_tokens is not None:
        at_least_one("max_new_tokens", max_new_tokens)
    readout, words = Readout(model.anatomy), Texts(model)
    asked = list(whole.said.values())
    probes = [one.probe for one in asked]
    failures: Failures = []

    def make(here: slice) -> list[EffectTrace | LvlmAuditError]:
        batch = asked[here]
        with skipped(model, chosen):
            states, _ = forced_states(model, probes[here], [one.ids for one in batch])
            fresh = (
                [None] * len(batch)
                if max_new_tokens is None
                else answers(model, probes[here], max_new_tokens)
            )
        made: list[EffectTrace | LvlmAuditError] = []
        arrays = _compared(readout, batch, torch.cat([_ends(readout, own) for own in states]))
        for one, found, ids in zip(batch, arrays, fresh, strict=True):
            pieces = words.pieces(one.ids)
            try:
                made.append(
                    EffectTrace(
                        asked=remembered(one.probe, one.prompt),
                        intervention=name,
                        blocks=chosen,
                        token_ids=np.array(one.ids, np.int64),
                        token_texts=pieces,
                        token_classes=words.classes(pieces, one.ids, one.probe.transcript),
                        **found,
                        base_answer=spoken(words, one.ids, model),
                        answer=None if ids is None else spoken(words, ids, model),
                        answer_ids=() if ids is None else tuple(ids),
                    )
                )
            except TraceError as error:
                made.append(error)
        _tell(on_progress, here.stop, len(probes))
        return made

    yield from each_batch(probes, batch_size, make, failures)
    if failures:
        raise ProbesFailed(failures, len(probes))


def answers(
    model: HookedModel,
    probes: Sequence[Probe],
    max_new_tokens: int,
    rescore: Rescore | None = None,
) -> list[list[int]]:
    """Greedy answers of one batch as token ids, each cut after its first end of sequence.

    Whatever intervention is under way takes part; `rescore` is another decoding than the model's own.
    """
    emitted: list[Tensor] = []
    generate(
        model,
        model.inputs(probes),
        max_new_tokens=max_new_tokens,
        on_step=lambda _, ids: emitted.append(ids.cpu()),
        rescore=rescore,
    )
    rows = torch.stack(emitted, dim=1).tolist()
    found = []
    for row in rows:
        end = next((i for i, token in enumerate(row) if token in model.end_ids), len(row) - 1)
        found.append(row[: end + 1])
    return found


def spoken(words: Texts, ids: Sequence[int], model: HookedModel) -> str:
    """An answer as a person reads it: control tokens left out."""
    pieces = words.pieces(ids)
    said = (text for text, i in zip(pieces, ids, strict=True) if i not in model.special_ids)
    return "".join(said).strip()


@torch.inference_mode()
def _ends(readout: Readout, states: Tensor) -> Tensor:
    """[T, S, d] -> [T, d] normed last states."""
    return readout.normed(states[:, -1])


@torch.inference_mode()
def _compared(readout: Readout, batch: Sequence[Said], ends: Tensor) -> list[dict[str, Any]]:
    """The arrays of each `EffectTrace`, by chunks of rows of all answers: the head is large, and streams
    through memory once a chunk."""
    ids = torch.tensor([i for one in batch for i in one.ids], device=ends.device)
    whole = torch.cat([one.ends for one in batch])
    parts: list[tuple[Tensor, ...]] = []
    for mine, theirs, said in zip(
        whole.split(_CHUNK), ends.split(_CHUNK), ids.split(_CHUNK), strict=True
    ):
        both = readout.logits(torch.cat([mine, theirs])).log_softmax(-1).unflatten(0, (2, -1))
        log_p, log_q = both
        parts.append(
            (
                kullback_leibler(log_p, log_q),
                jensen_shannon(log_p.exp(), log_q.exp()),
                both.argmax(-1),
                both.gather(-1, said.expand(2, -1)[..., None])[..., 0] / LN2,
            )
        )
    lengths = [len(one.ids) for one in batch]
    columns = [
        torch.cat(column, dim=-1).split(lengths, dim=-1) for column in zip(*parts, strict=True)
    ]
    return [
        {
            "kl": kl.cpu().numpy(),
            "divergence": divergence.cpu().numpy(),
            "leaders": leaders.cpu().numpy().astype(np.int64),
            "log2_probability": surprise.cpu().numpy(),
        }
        for kl, divergence, leaders, surprise in zip(*columns, strict=True)
    ]


def _tell(on_progress: OnProgress | None, done: int, total: int) -> None:
    if on_progress is not None:
        on_progress(done, total, 0)
