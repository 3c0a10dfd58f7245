"""The paired recorder: one text under two conditions, read together.

Both runs are forced to say the same tokens, so any difference between their distributions comes from
the condition: another probe's image, no image, other weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from lvlm_audit.errors import RecordingError, UsageError
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.probes.probe import ImageSource, Probe
from lvlm_audit.traces.batching import batches, failures_named
from lvlm_audit.traces.lens import Lens
from lvlm_audit.traces.recorder import DEFAULT_BATCH_SIZE, OnProgress
from lvlm_audit.traces.replaying import forced_states
from lvlm_audit.traces.texts import Texts
from lvlm_audit.traces.trace import Asked, LensName, PairedTrace

_A = TypeVar("_A")
_B = TypeVar("_B")


def record_pairs(
    model: HookedModel,
    probes: Sequence[Probe],
    texts: Sequence[Sequence[int]],
    other_images: Sequence[ImageSource | None],
    *,
    condition: str,
    text: Literal["answer", "reference"] = "answer",
    lens: LensName = "normed",
    last_state_only: bool = False,
    batch_size: int = DEFAULT_BATCH_SIZE,
    on_progress: OnProgress | None = None,
) -> list[PairedTrace]:
    """How much the distributions over a text depend on the image.

    The prompt is processed anew for the other image, whose size may give it another number of image
    tokens; the runs are aligned at the text.

    Args:
        model: an opened model.
        probes: what was asked, with their own images.
        texts: per probe the token ids that both runs say.
        other_images: per probe the image of the second run; None asks without an image.
        condition: what the second run changed, for the report.
        text: whose words `texts` are.
        lens: as in `record`.
        last_state_only: read state L alone, which is all that likelihoods need and costs 1/S of the lens;
            the paired traces then have S = 1.
        batch_size: probes run together.
        on_progress: called after each batch.

    Returns:
        One paired trace per probe, in order.

    Raises:
        RecordingError: a text is empty or not in the vocabulary, or the model failed on a probe.
        UsageError: the sequences differ in length.
    """
    others = [replace(p, image=i) for p, i in zip_equal(probes, other_images)]
    return _pairs(
        model,
        model,
        probes,
        others,
        texts,
        condition,
        text,
        lens,
        last_state_only,
        batch_size,
        on_progress,
    )


def reference_ids(model: HookedModel, probe: Probe) -> list[int]:
    """The probe's reference answer as the tokens that would continue its prompt.

    The end of sequence is not appended. A prompt whose template ends in a space or newline is
    continued without another space; otherwise the answer starts a new word.

    Raises:
        RecordingError: the probe has no reference answer, the model has no tokenizer, or the answer
            gives no tokens.
    """
    tokenizer = model.tokenizer
    if probe.answer is None or tokenizer is None:
        missing = "reference answer" if probe.answer is None else "tokenizer to read one"
        raise RecordingError(f"probe {probe.id!r} has no {missing}.")
    ids = model.inputs([probe])["input_ids"][0].tolist()
    # Only the prompt's end matters, and a short tail avoids decoding hundreds of image tokens.
    tail = tokenizer.decode(ids[-8:], skip_special_tokens=False, clean_up_tokenization_spaces=False)
    answer = probe.answer.strip()
    if tail and not tail[-1].isspace() and ids[-1] not in model.special_ids:
        answer = " " + answer
    found = _continuation(tokenizer, answer)
    if not found:
        raise RecordingError(f"probe {probe.id!r}: its reference answer gives no tokens.")
    return found


def _continuation(tokenizer: object, text: str) -> list[int]:
    """Ids of text in the middle of a sequence.

    SentencePiece tokenizers put a word boundary before any text they are given; encoding behind an
    anchor and cutting it off tells whether it belongs here.
    """
    encode = tokenizer.encode  # type: ignore[attr-defined]
    plain: list[int] = list(encode(text, add_special_tokens=False))
    anchor = list(encode("\n", add_special_tokens=False))
    both = list(encode("\n" + text, add_special_tokens=False))
    if anchor and both[: len(anchor)] == anchor and not text.startswith(" "):
        return both[len(anchor) :]
    if text.startswith(" "):
        word = list(encode(text[1:], add_special_tokens=False))
        decode = tokenizer.decode  # type: ignore[attr-defined]
        # A tokenizer that adds the boundary by itself would now write two spaces.
        if decode([*encode("a", add_special_tokens=False), *word]) == "a" + text:
            return word
    return plain


def _pairs(
    base: HookedModel,
    other: HookedModel,
    probes: Sequence[Probe],
    changed: Sequence[Probe],
    texts: Sequence[Sequence[int]],
    condition: str,
    text: Literal["answer", "reference"],
    lens: LensName,
    last_state_only: bool,
    batch_size: int,
    on_progress: OnProgress | None,
) -> list[PairedTrace]:
    reader = Lens(base.anatomy, lens)
    read = slice(-1, None) if last_state_only else slice(None)
    words = Texts(base)
    made: list[PairedTrace] = []
    said = [list(map(int, row)) for row, _ in zip_equal(texts, probes)]
    tokens = 0
    for batch in batches(probes, batch_size):
        here = slice(len(made), len(made) + len(batch))
        with failures_named(batch):
            first, _ = forced_states(base, batch, said[here])
            second: list[Tensor] = []
            for group in batches(changed[here], batch_size):
                start = here.start + len(second)
                second += forced_states(other, group, said[start : start + len(group)])[0]
            ids = np.array([i for row in said[here] for i in row], np.int64)
            divergence, surprise = reader.compare(
                torch.cat(first)[:, read], torch.cat(second)[:, read], torch.from_numpy(ids)
            )
        start = 0
        for probe, row in zip(batch, said[here], strict=True):
            rows = slice(start, start + len(row))
            start = rows.stop
            pieces = words.pieces(row)
            made.append(
                PairedTrace(
                    asked=Asked(
                        probe.id, probe.prompt, probe.cluster, probe.answer, dict(probe.labels)
                    ),
                    lens=lens,
                    condition=condition,
                    text=text,
                    token_ids=ids[rows],
                    token_texts=pieces,
                    token_classes=words.classes(pieces, row, probe.prompt),
                    divergence=divergence[rows],
                    log2_probability=np.ascontiguousarray(surprise[:, rows]),
                )
            )
        tokens += len(ids)
        if on_progress is not None:
            on_progress(len(made), len(probes), tokens)
    return made


def zip_equal(one: Sequence[_A], two: Sequence[_B]) -> list[tuple[_A, _B]]:
    """Pairs of two sequences that belong together.

    Raises:
        UsageError: they differ in length.
    """
    if len(one) != len(two):
        raise UsageError(f"{len(one)} and {len(two)} items were given that belong together.")
    return list(zip(one, two, strict=True))
