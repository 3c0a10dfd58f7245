"""The feature recorder: the states themselves, by teacher forcing, for the geometry of hidden states.

States are brought to float16 batch by batch, and only those are kept: 12 answers of 48 tokens of a 7B
model (33 states of width 4096) take 156 MB.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from lvlm_audit.errors import UsageError
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.readout import Readout
from lvlm_audit.probes.others import distinct_images
from lvlm_audit.probes.probe import Probe, Turn
from lvlm_audit.progress import OnProgress, Step
from lvlm_audit.traces.assembly import kept_features, remembered
from lvlm_audit.traces.batching import batches, failures_named
from lvlm_audit.traces.features import FeatureTrace
from lvlm_audit.traces.recorder import DEFAULT_BATCH_SIZE
from lvlm_audit.traces.replaying import forced_states
from lvlm_audit.traces.texts import Texts

_ANY_TOKEN = 0
"""Stands where a text must have a token to be predicted; the model never reads it."""


def record_features(
    model: HookedModel,
    probes: Sequence[Probe],
    continuations: Sequence[Sequence[int]],
    *,
    batch_size: int = DEFAULT_BATCH_SIZE,
    on_progress: OnProgress | None = None,
) -> list[FeatureTrace]:
    """Keeps the states with which a model predicts given answers.

    Args:
        model: an opened model.
        probes: what is asked.
        continuations: per probe the token ids of its answer; `trace.token_ids` for a recorded one.
        batch_size: probes run together.
        on_progress: called after each batch.

    Returns:
        One recording per probe, in order.

    Raises:
        RecordingError: an answer is empty or not in the vocabulary, or the model failed on a probe.
        ProbeError: an image cannot be read.
        UsageError: the sequences differ in length, or batch_size is below 1.

    Example:
        >>> (states,) = lvlm_audit.traces.record_features(hooked, probes[:1], [[50, 60]])
        >>> states.features.shape
        (2, 11, 64)
    """
    if len(probes) != len(continuations):
        raise UsageError(f"{len(continuations)} answers were given for {len(probes)} probes.")
    readout, texts = Readout(model.anatomy), Texts(model)
    made: list[FeatureTrace] = []
    tokens = 0
    step = Step(on_progress, "replaying answers for their states", len(probes))
    for batch in batches(probes, batch_size):
        answers = [list(map(int, row)) for row in continuations[len(made) : len(made) + len(batch)]]
        with failures_named(batch):
            states, prompts = forced_states(model, batch, answers)
            for probe, asked, answer, own in zip(batch, prompts, answers, states, strict=True):
                pieces = texts.pieces(answer)
                made.append(
                    FeatureTrace(
                        asked=remembered(probe, asked),
                        token_ids=np.array(answer, np.int64),
                        token_texts=pieces,
                        token_classes=texts.classes(pieces, answer, probe.transcript),
                        features=kept_features(readout, own),
                    )
                )
        tokens += sum(map(len, answers))
        step.reached(len(made), tokens)
    return made


def record_common_step(
    model: HookedModel,
    probes: Sequence[Probe],
    *,
    prompt: str,
    turns: Sequence[Turn] = (),
    prefix: Sequence[int] = (),
    batch_size: int = DEFAULT_BATCH_SIZE,
    on_progress: OnProgress | None = None,
) -> list[FeatureTrace]:
    """Asks every image one question and keeps the states of one step, the same for all.

    Every image gets the same prompt and the same forced words, so the position that predicts the next
    token differs in the image alone: many images, one token.

    Args:
        model: an opened model.
        probes: their images are asked, each distinct one once; their own prompts are not used.
        prompt: the question.
        turns: what is said before it.
        prefix: token ids that the model is made to say first, e.g. as `traces.common.common_step` chooses.
        batch_size: images run together.
        on_progress: called after each batch.

    Returns:
        One recording of one token per distinct image; the token is the one that the model predicts there.

    Raises:
        RecordingError: the prefix is not in the vocabulary, or the model failed on a probe.
        ProbeError: an image cannot be read.
        UsageError: no probe has an image of its own, or batch_size is below 1.

    Example:
        >>> steps = lvlm_audit.traces.record_common_step(hooked, probes[:3], prompt="Is it a dog?")
        >>> [step.features.shape for step in steps]
        [(1, 11, 64), (1, 11, 64), (1, 11, 64)]
    """
    asked = [probe.asking(prompt, turns) for probe in distinct_images(probes)]
    if not asked:
        raise UsageError(
            "a common step needs probes with images to which a prompt can be put; "
            "prepared probes have none."
        )
    readout, texts = Readout(model.anatomy), Texts(model)
    forced = [*map(int, prefix), _ANY_TOKEN]
    said = "".join(texts.pieces(forced[:-1]))
    made: list[FeatureTrace] = []
    step = Step(on_progress, "asking every image one question", len(asked), unit="images")
    for batch in batches(asked, batch_size):
        with failures_named(batch):
            states, prompts = forced_states(model, batch, [forced] * len(batch))
            ends = torch.stack([own[-1] for own in states])
            with torch.inference_mode():
                words = readout.logits(readout.normed(ends[:, -1])).argmax(dim=-1).tolist()
            kept = kept_features(readout, ends)
        for probe, question, word, own in zip(batch, prompts, words, kept, strict=True):
            pieces = texts.pieces([*forced[:-1], word])[-1:]
            made.append(
                FeatureTrace(
                    asked=remembered(probe, question),
                    token_ids=np.array([word], np.int64),
                    token_texts=pieces,
                    token_classes=texts.classes(pieces, [word], probe.transcript),
                    features=own[None],
                    prefix=said,
                )
            )
        step.reached(len(made), len(made))
    return made
