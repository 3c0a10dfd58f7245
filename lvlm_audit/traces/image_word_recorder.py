"""The image-word recorder: what a picture's own positions say, by the lens, of the words of an answer.

The prompt is run once; each state of its image positions goes through the lens as the forward pass
reaches it, a chunk of rows at a time, and only the highest probability of each answer token is kept:
576 positions and 33 states of a 32,000-word model would be 2.4 GB of logits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from lvlm_audit.errors import (
    LvlmAuditError,
    ProbesFailed,
    RecordingError,
    TraceError,
    UnsupportedModel,
)
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.probes.probe import Probe
from lvlm_audit.progress import OnProgress, Step
from lvlm_audit.settings.reading import LensName
from lvlm_audit.traces.assembly import remembered
from lvlm_audit.traces.batching import Failures, each_batch, whole
from lvlm_audit.traces.generation import read_prompt
from lvlm_audit.traces.image_words import ImageWords
from lvlm_audit.traces.lens import CHUNK_BYTES, LensReader
from lvlm_audit.traces.paired import zip_equal
from lvlm_audit.traces.recorder import DEFAULT_BATCH_SIZE


def record_image_words(
    model: HookedModel,
    probes: Sequence[Probe],
    answers: Sequence[Sequence[int]],
    *,
    lens: LensName = "normed",
    batch_size: int = DEFAULT_BATCH_SIZE,
    on_progress: OnProgress | None = None,
) -> list[ImageWords]:
    """`iter_image_words`, all at once.

    Raises:
        ProbesFailed: as `iter_image_words`, with the other probes' recordings in `error.traces`.

    Example:
        >>> (words,) = lvlm_audit.traces.record_image_words(hooked, probes[:1], [[50, 60]])
        >>> words.confidence.shape
        (2, 11)
    """
    return whole(
        iter_image_words(
            model, probes, answers, lens=lens, batch_size=batch_size, on_progress=on_progress
        )
    )


def iter_image_words(
    model: HookedModel,
    probes: Sequence[Probe],
    answers: Sequence[Sequence[int]],
    *,
    lens: LensName = "normed",
    batch_size: int = DEFAULT_BATCH_SIZE,
    on_progress: OnProgress | None = None,
) -> Iterator[ImageWords]:
    """How confidently the image's positions say each token of given answers, at each state.

    Image positions come before the answer, so that nothing of it can be read there: the prompt alone
    is run.

    Args:
        model: an opened model.
        probes: what was asked, with images.
        answers: per probe the token ids of its answer; `trace.token_ids` of a recorded one.
        lens: as in `record`.
        batch_size: probes run together.
        on_progress: called after each batch.

    Yields:
        One recording per probe, in order.

    Raises:
        UnsupportedModel: images hold no positions of this model's prompt.
        ProbesFailed: some probes show no image, have an empty answer or one that is not in the
            vocabulary, or the model failed on them; raised after all were tried.
        UsageError: the sequences differ in length, or batch_size is below 1.
    """
    asked = zip_equal(probes, answers)
    reader = _Reader(LensReader(model.anatomy, lens))
    failures: Failures = []
    tokens = 0
    step = Step(on_progress, "reading the images' own words", len(probes))

    def make(here: slice) -> list[ImageWords | LvlmAuditError]:
        nonlocal tokens
        batch = probes[here]
        said = [_checked(probe, ids, model) for probe, ids in asked[here]]
        inputs = model.inputs(batch)
        held = model.image_positions(inputs)
        if held is None:
            raise UnsupportedModel(
                f"{model.name}'s images hold no positions of the prompt ({type(model.model).__name__}), so "
                f"there are none whose words could be read."
            )
        best = [_Best(len(ids), model.anatomy.states) for ids in said]
        owner = held.nonzero()[:, 0].cpu()

        def receive(state: int, stream: Tensor) -> None:
            if stream.shape[:2] != held.shape:
                raise RecordingError(
                    f"the prompt has {held.shape[1]} positions, but the stream at state {state} has "
                    f"{stream.shape[1]}: image positions cannot be told in it."
                )
            # All pictures of the batch together: a 16-bit head is cast once for many rows.
            rows = stream[held.to(stream.device)]
            for row, found in enumerate(reader.read(rows, owner, state, said)):
                if found is not None:
                    best[row].take(state, *found)

        read_prompt(model, inputs, receive)
        made: list[ImageWords | LvlmAuditError] = []
        prompts = model.prompts(inputs)
        for row, (probe, ids, found) in enumerate(zip(batch, said, best, strict=True)):
            try:
                count = int(held[row].sum())
                if count == 0:
                    raise RecordingError(
                        f"probe {probe.id!r} shows no image, so no position says anything of one."
                    )
                made.append(
                    ImageWords(
                        asked=remembered(probe, prompts[row]),
                        lens=lens,
                        token_ids=np.array(ids, np.int64),
                        confidence=found.confidence,
                        position=found.position,
                        positions=count,
                    )
                )
            except (RecordingError, TraceError) as error:
                made.append(error)
        tokens += sum(map(len, said))
        step.reached(here.stop, tokens)
        return made

    yield from each_batch(probes, batch_size, make, failures)
    if failures:
        raise ProbesFailed(failures, len(probes))


class _Best:
    """[T, S] the highest probability of each token so far, and where."""

    def __init__(self, tokens: int, states: int) -> None:
        self.confidence = np.zeros((tokens, states), np.float32)
        self.position = np.zeros((tokens, states), np.int32)

    def take(self, state: int, confidence: Tensor, position: Tensor) -> None:
        self.confidence[:, state] = confidence.numpy()
        self.position[:, state] = position.numpy()


class _Reader:
    """Reads rows of one state; the chunk's logits lie in one memory."""

    def __init__(self, lens: LensReader) -> None:
        self._lens = lens
        self._rows = max(1, CHUNK_BYTES // (4 * lens.readout.vocabulary))

    def read(
        self, rows: Tensor, owner: Tensor, state: int, said: Sequence[Sequence[int]]
    ) -> Iterator[tuple[Tensor, Tensor] | None]:
        """Per probe [T] the highest probability of each of its ids over its rows, and in which of them.

        Args:
            rows: [n, d] of one state.
            owner: [n] whose row it is.
            state: j.
            said: ids of each probe.
        """
        every, back = torch.unique(
            torch.cat([torch.tensor(ids) for ids in said]), return_inverse=True
        )
        parts = []
        for start in range(0, len(rows), self._rows):
            logits = self._lens.logits_at(rows[start : start + self._rows], state)
            total = logits.logsumexp(-1, keepdim=True)
            parts.append((logits[:, every.to(logits.device)] - total).exp_().cpu())
        whole = torch.cat(parts) if parts else torch.empty(0, len(every))
        for row, own in enumerate(back.split([len(ids) for ids in said])):
            mine = whole[owner == row][:, own]
            yield mine.max(dim=0) if len(mine) else None


def _checked(probe: Probe, ids: Sequence[int], model: HookedModel) -> list[int]:
    answer = [int(i) for i in ids]
    if not answer or min(answer) < 0 or max(answer) >= model.vocabulary:
        raise RecordingError(
            f"probe {probe.id!r}: the answer has {len(answer)} tokens, which must be some and all below "
            f"{model.vocabulary}. Give the ids that this model's tokenizer makes."
        )
    return answer
