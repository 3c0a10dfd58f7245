"""The recorder: probes in, traces out.

Probes are answered in batches under hooks, or made to say a given text. Their states are read by the
lens as soon as a chunk is full, so memory is bounded by the chunk: not by the prompt, the answer or
the number of probes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lvlm_audit.errors import RecordingError, UsageError
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.proof import tolerance
from lvlm_audit.probes.probe import Probe
from lvlm_audit.traces.batching import at_least_one, batches, failures_named
from lvlm_audit.traces.generation import generate
from lvlm_audit.traces.lens import Lens, Reading
from lvlm_audit.traces.replaying import forced_states
from lvlm_audit.traces.texts import Texts
from lvlm_audit.traces.trace import Asked, LensName, Trace

OnProgress = Callable[[int, int, int], None]
"""Called with probes done, probes in all, and tokens recorded so far."""

DEFAULT_MAX_NEW_TOKENS = 48
DEFAULT_BATCH_SIZE = 8


def record(
    model: HookedModel,
    probes: Sequence[Probe],
    *,
    max_new_tokens: int = DEFAULT_MAX_NEW_TOKENS,
    lens: LensName = "normed",
    batch_size: int = DEFAULT_BATCH_SIZE,
    keep_features: bool = False,
    paper_index: bool = False,
    on_progress: OnProgress | None = None,
) -> list[Trace]:
    """Lets a model answer probes, greedily, and reads every state through the lens.

    Args:
        model: an opened model (`lvlm_audit.load` or `lvlm_audit.hook`).
        probes: what to ask.
        max_new_tokens: an answer's length at most.
        lens: `normed`, or `raw` as in the paper's published code.
        batch_size: probes answered together. A 16-bit model's answer may depend on it a little.
        keep_features: keep the states themselves, as float16.
        paper_index: also record the published code's divergence (`Trace.paper_index`).
        on_progress: called after each generated step.

    Returns:
        One trace per probe, in order.

    Raises:
        ProbeError: an image cannot be read.
        RecordingError: the model failed on a probe, or did not emit its most probable token.
        UsageError: max_new_tokens or batch_size below 1, or no lens of that name.
    """
    return list(
        iter_record(
            model,
            probes,
            max_new_tokens=max_new_tokens,
            lens=lens,
            batch_size=batch_size,
            keep_features=keep_features,
            paper_index=paper_index,
            on_progress=on_progress,
        )
    )


def iter_record(
    model: HookedModel,
    probes: Sequence[Probe],
    *,
    max_new_tokens: int = DEFAULT_MAX_NEW_TOKENS,
    lens: LensName = "normed",
    batch_size: int = DEFAULT_BATCH_SIZE,
    keep_features: bool = False,
    paper_index: bool = False,
    on_progress: OnProgress | None = None,
) -> Iterator[Trace]:
    """`record`, handing on each batch's traces as soon as they are complete."""
    at_least_one("max_new_tokens", max_new_tokens)
    reader = Lens(model.anatomy, lens, paper_index=paper_index)
    texts = Texts(model)
    progress = _Progress(len(probes), on_progress)
    for batch in batches(probes, batch_size):
        session = _Session(reader, len(batch), keep_features)
        with failures_named(batch):
            inputs = model.inputs(batch)
            progress.begin(inputs["input_ids"][:, -1])

            def on_step(states: Tensor, emitted: Tensor, *, session: _Session = session) -> None:
                session.take(states, emitted, progress.inputs, model.end_ids)
                progress.step(emitted, session.running_before)

            generate(model, inputs, max_new_tokens=max_new_tokens, on_step=on_step)
            traces = session.traces(batch, texts, model, generated=True)
        progress.finish(len(batch))
        yield from traces


def replay(
    model: HookedModel,
    probes: Sequence[Probe],
    continuations: Sequence[Sequence[int]],
    *,
    lens: LensName = "normed",
    batch_size: int = DEFAULT_BATCH_SIZE,
    keep_features: bool = False,
    paper_index: bool = False,
    on_progress: OnProgress | None = None,
) -> list[Trace]:
    """Reads given answers as `record` reads generated ones: teacher-forced, in one forward pass.

    A replay of what was recorded gives the same trace, to the rounding of the model's dtype, whatever
    the batch.

    Args:
        model: an opened model.
        probes: what is asked.
        continuations: per probe the token ids of its answer; `trace.token_ids` for a recorded one.
        lens: as in `record`.
        batch_size: probes run together.
        keep_features: as in `record`.
        paper_index: as in `record`.
        on_progress: called after each batch.

    Raises:
        RecordingError: an answer is empty or is not in this model's vocabulary.
        ProbeError, UsageError: as `record`.
    """
    if len(probes) != len(continuations):
        raise UsageError(f"{len(continuations)} answers were given for {len(probes)} probes.")
    reader = Lens(model.anatomy, lens, paper_index=paper_index)
    texts = Texts(model)
    progress = _Progress(len(probes), on_progress)
    traces: list[Trace] = []
    done = 0
    for batch in batches(probes, batch_size):
        answers = [list(map(int, row)) for row in continuations[done : done + len(batch)]]
        done += len(batch)
        session = _Session(reader, len(batch), keep_features)
        with failures_named(batch):
            states, last = forced_states(model, batch, answers)
            session.take_whole(states, answers, last)
            traces += session.traces(batch, texts, model, generated=False)
        progress.tokens += sum(map(len, answers))
        progress.finish(len(batch))
    return traces


@dataclass(slots=True)
class _Rows:
    """Token rows that wait for the lens."""

    states: list[Tensor] = field(default_factory=list)
    emitted: list[Tensor] = field(default_factory=list)
    distractors: list[Tensor] = field(default_factory=list)
    count: int = 0


class _Session:
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
            self._features.append(_features(self._lens, states[:count]))
        rest = len(states) - count
        # A clone, not a view: the rows already read are given back.
        self._waiting = _Rows(
            [states[count:].clone()] * bool(rest),
            [emitted[count:]] * bool(rest),
            [distractors[count:]] * bool(rest),
            rest,
        )

    def traces(
        self, batch: Sequence[Probe], texts: Texts, model: HookedModel, *, generated: bool
    ) -> list[Trace]:
        self._read(self._waiting.count)
        reading = Reading.join(self._readings)
        features = np.concatenate(self._features) if self._features else None
        owner = np.array(self._probe)
        ids = np.array(self._emitted, np.int64)
        distractors = np.array(self._distractor, np.int64)
        before = np.array(self._input, np.int64)
        made = []
        for i, probe in enumerate(batch):
            rows = np.flatnonzero(owner == i)
            own = reading.rows(rows)
            if generated:
                _prove_greedy(probe, own, model)
            made.append(
                _trace(
                    probe,
                    self._lens.name,
                    own,
                    ids[rows],
                    before[rows],
                    distractors[rows],
                    texts,
                    None if features is None else features[rows],
                )
            )
        return made


class _Progress:
    """Counts for the caller, and remembers each row's input token between steps."""

    def __init__(self, total: int, report: OnProgress | None) -> None:
        self._total, self._report = total, report
        self._done = 0
        self.tokens = 0
        self.inputs = torch.empty(0, dtype=torch.long)

    def begin(self, inputs: Tensor) -> None:
        self.inputs = inputs.cpu()

    def step(self, emitted: Tensor, rows: int) -> None:
        self.inputs = emitted.cpu()
        self.tokens += rows
        self._tell()

    def finish(self, probes: int) -> None:
        self._done += probes
        self._tell()

    def _tell(self) -> None:
        if self._report is not None:
            self._report(self._done, self._total, self.tokens)


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


def _features(lens: Lens, states: Tensor) -> np.ndarray:
    """[n, S, d] float16: the residual stream, its last state after the final norm."""
    kept = states.float()
    kept[:, -1] = lens.readout.normed(states[:, -1]).to(kept.device)
    # A few channels of large models go beyond float16; their direction is worth more than their size.
    largest = torch.finfo(torch.float16).max
    return kept.clamp_(-largest, largest).half().cpu().numpy()


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


def _trace(
    probe: Probe,
    lens: LensName,
    reading: Reading,
    ids: np.ndarray,
    before: np.ndarray,
    distractors: np.ndarray,
    texts: Texts,
    features: np.ndarray | None,
) -> Trace:
    pieces = texts.pieces(ids.tolist())
    widest = max(1, int((reading.candidate_ids >= 0).sum(1).max(initial=1)))
    candidates = reading.candidate_ids[:, :widest]
    seen = (ids, before, distractors, candidates, reading.top_ids)
    return Trace(
        asked=Asked(probe.id, probe.prompt, probe.cluster, probe.answer, dict(probe.labels)),
        lens=lens,
        answer="".join(pieces),
        token_ids=ids,
        token_texts=pieces,
        token_classes=texts.classes(pieces, ids.tolist(), probe.prompt),
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
    )
