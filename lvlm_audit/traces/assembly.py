"""From the states of one batch to its traces: rows wait for the lens, and are dealt back to their probes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lvlm_audit.errors import LvlmAuditError, RecordingError
from lvlm_audit.models.asking import Prompt
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.proof import tolerance
from lvlm_audit.models.readout import Readout
from lvlm_audit.probes.probe import Probe
from lvlm_audit.traces.batching import ONE_PROBES_FAULT
from lvlm_audit.traces.lens import Lens, Reading
from lvlm_audit.traces.texts import Texts
from lvlm_audit.traces.trace import Asked, LensName, Trace


@dataclass(slots=True)
class _Rows:
    """Token rows that wait for the lens."""

    states: list[Tensor] = field(default_factory=list)
    emitted: list[Tensor] = field(default_factory=list)
    distractors: list[Tensor] = field(default_factory=list)
    count: int = 0


class Session:
    """One batch on its way from states to traces."""

    def __init__(self, lens: Lens, size: int, keep_features: bool) -> None:
        self._lens = lens
        self._keep_features = keep_features
        self._waiting = _Rows()
        self._readings: list[Reading] = []
        self._features: list[np.ndarray] = []
        self._probe: list[int] = []
        self._emitted: list[int] = []
        self._distractor: list[int] = []
        self._input: list[int] = []
        self._running = torch.ones(size, dtype=torch.bool)
        self.running_before = 0

    def take(
        self, states: Tensor, emitted: Tensor, inputs: Tensor, end_ids: frozenset[int]
    ) -> None:
        """One generated step of the whole batch; rows that have ended are dropped."""
        words = emitted.cpu()
        running = self._running
        self.running_before = int(running.sum())
        if not self.running_before:
            return
        rows = running.nonzero().flatten()
        distractors = _distractors(words[rows])
        self._add(states[rows.to(states.device)], words[rows], distractors, rows, inputs[rows])
        ended = torch.tensor([int(word) in end_ids for word in words])
        self._running = running & ~ended

    def take_whole(
        self, states: Sequence[Tensor], answers: Sequence[Sequence[int]], last: Sequence[int]
    ) -> None:
        """A replayed batch, brought into the order in which it would have been generated."""
        for step in range(max(map(len, answers))):
            rows = torch.tensor([i for i, answer in enumerate(answers) if step < len(answer)])
            words = torch.tensor([answers[i][step] for i in rows])
            before = [answers[i][step - 1] if step else last[i] for i in rows]
            self._add(
                torch.stack([states[i][step] for i in rows]),
                words,
                _distractors(words),
                rows,
                torch.tensor(before),
            )

    def _add(
        self, states: Tensor, words: Tensor, distractors: Tensor, rows: Tensor, inputs: Tensor
    ) -> None:
        self._probe += rows.tolist()
        self._emitted += words.tolist()
        self._distractor += distractors.tolist()
        self._input += inputs.tolist()
        waiting = self._waiting
        waiting.states.append(states)
        waiting.emitted.append(words)
        waiting.distractors.append(distractors)
        waiting.count += len(words)
        if waiting.count >= self._lens.chunk_tokens:
            self._read(waiting.count // self._lens.chunk_tokens * self._lens.chunk_tokens)

    def _read(self, count: int) -> None:
        """Sends the first `count` waiting rows through the lens."""
        if count == 0:
            return
        waiting = self._waiting
        states = torch.cat(waiting.states)
        emitted, distractors = torch.cat(waiting.emitted), torch.cat(waiting.distractors)
        self._readings.append(self._lens.read(states[:count], emitted[:count], distractors[:count]))
        if self._keep_features:
            self._features.append(kept_features(self._lens.readout, states[:count]))
        rest = len(states) - count
        # A clone, not a view: the rows already read are given back.
        self._waiting = _Rows(
            [states[count:].clone()] * bool(rest),
            [emitted[count:]] * bool(rest),
            [distractors[count:]] * bool(rest),
            rest,
        )

    def traces(
        self,
        batch: Sequence[Probe],
        prompts: Sequence[Prompt],
        texts: Texts,
        model: HookedModel,
        *,
        generated: bool,
    ) -> list[Trace | LvlmAuditError]:
        """Per probe its trace, or why it has none; one probe's fault is not another's."""
        if not self._probe:
            return [_said_nothing(probe, (), model) for probe in batch]
        self._read(self._waiting.count)
        reading = Reading.join(self._readings)
        features = np.concatenate(self._features) if self._features else None
        owner = np.array(self._probe)
        ids = np.array(self._emitted, np.int64)
        distractors = np.array(self._distractor, np.int64)
        before = np.array(self._input, np.int64)
        made: list[Trace | LvlmAuditError] = []
        for i, probe in enumerate(batch):
            rows = np.flatnonzero(owner == i)
            own = reading.rows(rows)
            try:
                if generated:
                    # An answer that ends before its first word leaves nothing to audit.
                    if model.end_ids.issuperset(ids[rows].tolist()):
                        raise _said_nothing(probe, ids[rows].tolist(), model)
                    _prove_greedy(probe, own, model)
                made.append(
                    _trace(
                        probe,
                        prompts[i],
                        self._lens.name,
                        own,
                        ids[rows],
                        before[rows],
                        distractors[rows],
                        texts,
                        None if features is None else features[rows],
                        given=not generated,
                    )
                )
            except ONE_PROBES_FAULT as error:
                made.append(error)
        return made


def _distractors(words: Tensor) -> Tensor:
    """For each row the token of the next other row, in cyclic order, that differs; -1 if none does."""
    n = len(words)
    chosen = torch.full((n,), -1, dtype=torch.long)
    for i in range(n):
        for k in range(1, n):
            other = words[(i + k) % n]
            if other != words[i]:
                chosen[i] = other
                break
    return chosen


def kept_features(readout: Readout, states: Tensor) -> npt.NDArray[np.float16]:
    """[n, S, d] float16: the residual stream, its last state after the final norm."""
    kept = states.to(torch.float32, copy=True)
    last = readout.normed(states[:, -1]).to(kept.device)
    if last.shape == kept[:, -1].shape:
        # Several streams are joined before the norm: then the last state stays as it left its block.
        kept[:, -1] = last
    # A few channels of large models go beyond float16; their direction is worth more than their size.
    largest = torch.finfo(torch.float16).max
    return np.asarray(kept.clamp_(-largest, largest).half().cpu().numpy())


def _said_nothing(probe: Probe, ids: Sequence[int], model: HookedModel) -> RecordingError:
    first = "ended its answer at once" if len(ids) else "emitted no token"
    return RecordingError(
        f"probe {probe.id!r}, answer: it has no tokens: {model.name} {first}. Look at its prompt and "
        f"the model's chat template, or drop the probe."
    )


def _prove_greedy(probe: Probe, reading: Reading, model: HookedModel) -> None:
    """The emitted token must lead at state L, or tie with the leader in the model's dtype."""
    allowed = 2 * tolerance(model.dtype) * np.maximum(1.0, np.abs(reading.top_logit))
    late = np.flatnonzero(~(reading.lag <= allowed))
    if late.size and np.isfinite(reading.lag[late[0]]):
        step = int(late[0])
        raise RecordingError(
            f"probe {probe.id!r}, token {step}: {model.name} emitted a token that trails its most "
            f"probable one by {reading.lag[step]:.4g} nats, where {model.dtype} explains "
            f"{allowed[step]:.4g}. Only greedy decoding can be audited: something alters the model's "
            f"logits while it generates."
        )


def remembered(probe: Probe, prompt: Prompt | None = None) -> Asked:
    """The probe as a trace remembers it, and what its prompt became if that is known."""
    return Asked(
        probe.id,
        probe.transcript,
        probe.cluster,
        probe.answer,
        dict(probe.labels),
        None if prompt is None else prompt.tokens,
        None if prompt is None else prompt.image_tokens,
    )


def _trace(
    probe: Probe,
    prompt: Prompt,
    lens: LensName,
    reading: Reading,
    ids: np.ndarray,
    before: np.ndarray,
    distractors: np.ndarray,
    texts: Texts,
    features: np.ndarray | None,
    *,
    given: bool,
) -> Trace:
    pieces = texts.pieces(ids.tolist())
    widest = max(1, int((reading.candidate_ids >= 0).sum(1).max(initial=1)))
    candidates = reading.candidate_ids[:, :widest]
    seen = (ids, before, distractors, candidates, reading.top_ids)
    return Trace(
        asked=remembered(probe, prompt),
        lens=lens,
        answer="".join(pieces),
        token_ids=ids,
        token_texts=pieces,
        token_classes=texts.classes(pieces, ids.tolist(), probe.transcript),
        input_ids=before,
        probability=reading.probability,
        rank=reading.rank,
        divergence=reading.divergence,
        entropy=reading.entropy,
        kl_to_final=reading.kl_to_final,
        jsd_to_final=reading.jsd_to_final,
        nucleus_mass=reading.nucleus_mass,
        top_ids=reading.top_ids,
        top_probs=reading.top_probs,
        candidate_ids=np.ascontiguousarray(candidates),
        candidate_probability=np.ascontiguousarray(reading.candidate_probability[:, :widest]),
        distractor_ids=distractors,
        distractor=reading.distractor,
        vocabulary=texts.vocabulary(np.unique(np.concatenate([part.ravel() for part in seen]))),
        features=features,
        paper_index=reading.paper_index if reading.paper_index.size else None,
        given=given,
    )
