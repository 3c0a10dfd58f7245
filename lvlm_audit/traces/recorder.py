"""The recorder: probes in, traces out.

Probes are answered in batches under hooks, or made to say a given text. Their states are read by the
lens as soon as a chunk is full, so memory is bounded by the chunk: not by the prompt, the answer or
the number of probes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from lvlm_audit.errors import LvlmAuditError, ProbesFailed, UsageError
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.probes.probe import Probe
from lvlm_audit.progress import OnProgress, Step
from lvlm_audit.settings.reading import LensName
from lvlm_audit.traces.alignment import aligned, answer_ids, reference_ids
from lvlm_audit.traces.assembly import Session
from lvlm_audit.traces.batching import Failures, at_least_one, each_batch, whole
from lvlm_audit.traces.generation import generate
from lvlm_audit.traces.lens import LensReader
from lvlm_audit.traces.replaying import forced_states
from lvlm_audit.traces.texts import Texts
from lvlm_audit.traces.trace import Trace

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
        ProbesFailed: of some probes an image cannot be read, the model failed, answered nothing, gave
            values that no trace may hold, or did not emit its most probable token. Raised after all
            probes were tried; the others' traces are in `error.traces`.
        UsageError: max_new_tokens or batch_size below 1, or no lens of that name.

    Example:
        >>> answers = lvlm_audit.record(hooked, probes[:2], max_new_tokens=3)
        >>> answers[0].probability.shape
        (3, 11)
    """
    return whole(
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
    """`record`, handing on each batch's traces as soon as they are complete.

    Raises:
        ProbesFailed: at the end, as `record`; `error.traces` is empty, the traces were handed on.
    """
    at_least_one("max_new_tokens", max_new_tokens)
    reader = LensReader(model.anatomy, lens, paper_index=paper_index)
    texts = Texts(model)
    counts = _Counts(Step(on_progress, "recording answers", len(probes)))

    def make(here: slice) -> list[Trace | LvlmAuditError]:
        batch = probes[here]
        session = Session(reader, len(batch), keep_features)
        inputs = model.inputs(batch)
        prompts = model.prompts(inputs)
        counts.begin(here.start, [prompt.last_id for prompt in prompts])

        def on_step(states: Tensor, emitted: Tensor) -> None:
            session.take(states, emitted, counts.inputs, model.end_ids)
            counts.step(emitted, session.running_before)

        generate(model, inputs, max_new_tokens=max_new_tokens, on_step=on_step)
        made = session.traces(batch, prompts, texts, model, generated=True)
        counts.finish(here.stop)
        return made

    failures: Failures = []
    yield from each_batch(probes, batch_size, make, failures)
    if failures:
        raise ProbesFailed(failures, len(probes))


def replay(
    model: HookedModel,
    probes: Sequence[Probe],
    answers: Sequence[str | Sequence[int]] | None = None,
    *,
    lens: LensName = "normed",
    batch_size: int = DEFAULT_BATCH_SIZE,
    keep_features: bool = False,
    paper_index: bool = False,
    on_progress: OnProgress | None = None,
) -> list[Trace]:
    """Reads given answers as `record` reads generated ones: teacher-forced, in one forward pass.

    A replay of what was recorded gives the same trace, to the rounding of the model's dtype, whatever
    the batch. A given token need not be the most probable one at any state: that some rise is certain,
    as greedy decoding makes it, does not hold here.

    Args:
        model: an opened model.
        probes: what is asked.
        answers: per probe its answer, as text or as token ids (`trace.token_ids` of a recorded one);
            without them each probe's own reference answer.
        lens: as in `record`.
        batch_size: probes run together.
        keep_features: as in `record`.
        paper_index: as in `record`.
        on_progress: called after each batch.

    Raises:
        ProbesFailed: some probes failed as in `record`, have no answer, or one that this model's
            tokenizer cannot align (see `alignment.answer_ids`); raised after all were tried, with the
            others' traces in `error.traces`.
        UsageError: as `record`, or the sequences differ in length.

    Example:
        >>> (given,) = lvlm_audit.traces.replay(hooked, probes[:1], ["Yes, it is."])
        >>> given.token_texts[0]
        ' Yes'
        >>> given.given
        True
    """
    return whole(
        iter_replay(
            model,
            probes,
            answers,
            lens=lens,
            batch_size=batch_size,
            keep_features=keep_features,
            paper_index=paper_index,
            on_progress=on_progress,
        )
    )


def iter_replay(
    model: HookedModel,
    probes: Sequence[Probe],
    answers: Sequence[str | Sequence[int]] | None = None,
    *,
    lens: LensName = "normed",
    batch_size: int = DEFAULT_BATCH_SIZE,
    keep_features: bool = False,
    paper_index: bool = False,
    on_progress: OnProgress | None = None,
) -> Iterator[Trace]:
    """`replay`, handing on each batch's traces as soon as they are complete.

    Raises:
        ProbesFailed: at the end, as `replay`; `error.traces` is empty, the traces were handed on.
    """
    if answers is not None and len(probes) != len(answers):
        raise UsageError(f"{len(answers)} answers were given for {len(probes)} probes.")
    reader = LensReader(model.anatomy, lens, paper_index=paper_index)
    texts = Texts(model)
    counts = _Counts(Step(on_progress, "replaying answers", len(probes)))
    failures: Failures = []

    def ids_of(i: int) -> list[int]:
        if answers is None:
            return reference_ids(model, probes[i])
        return answer_ids(model, probes[i], answers[i])

    found = aligned(probes, ids_of, failures)
    asked = [probes[i] for i, _ in found]

    def make(here: slice) -> list[Trace | LvlmAuditError]:
        batch = asked[here]
        said = [ids for _, ids in found[here]]
        session = Session(reader, len(batch), keep_features)
        states, prompts = forced_states(model, batch, said)
        session.take_whole(states, said, [prompt.last_id for prompt in prompts])
        made = session.traces(batch, prompts, texts, model, generated=False)
        counts.begin(here.start)
        counts.tokens += sum(map(len, said))
        counts.finish(here.stop)
        return made

    yield from each_batch(asked, batch_size, make, failures)
    if failures:
        raise ProbesFailed(failures, len(probes))


class _Counts:
    """Counts for the caller, and remembers each row's input token between steps."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._done = 0
        self.tokens = self._tokens_done = 0
        self.inputs = torch.empty(0, dtype=torch.long)

    def begin(self, done: int, last_ids: Sequence[int] = ()) -> None:
        """Starts a batch before which so many probes are done; what a failed try counted is undone."""
        self._done, self.tokens = done, self._tokens_done
        self.inputs = torch.tensor(last_ids)

    def step(self, emitted: Tensor, rows: int) -> None:
        self.inputs = emitted.cpu()
        self.tokens += rows
        self._tell()

    def finish(self, done: int) -> None:
        self._done, self._tokens_done = done, self.tokens
        self._tell()

    def _tell(self) -> None:
        self._step.reached(self._done, self.tokens)
