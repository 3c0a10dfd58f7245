"""The paired recorder: one text under two conditions or more, read together.

All runs are forced to say the same tokens, so any difference between their distributions comes from
the condition: another probe's image, or no image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from lvlm_audit.errors import LvlmAuditError, ProbesFailed, TraceError, UsageError
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.probes.probe import ImageSource, Probe
from lvlm_audit.traces.alignment import aligned, answer_ids
from lvlm_audit.traces.assembly import remembered
from lvlm_audit.traces.batching import Failures, batches, each_batch, whole
from lvlm_audit.traces.lens import Lens
from lvlm_audit.traces.recorder import DEFAULT_BATCH_SIZE, OnProgress
from lvlm_audit.traces.replaying import forced_states
from lvlm_audit.traces.texts import Texts
from lvlm_audit.traces.trace import LensName, PairedTrace

_A = TypeVar("_A")
_B = TypeVar("_B")


def record_pairs(
    model: HookedModel,
    probes: Sequence[Probe],
    texts: Sequence[str | Sequence[int]],
    other_images: Sequence[ImageSource | Sequence[ImageSource] | None],
    *,
    condition: str,
    text: Literal["answer", "reference"] = "answer",
    lens: LensName = "normed",
    last_state_only: bool = False,
    batch_size: int = DEFAULT_BATCH_SIZE,
    on_progress: OnProgress | None = None,
) -> list[PairedTrace]:
    """`iter_pairs`, all at once.

    Raises:
        ProbesFailed: as `iter_pairs`, with the other probes' pairs in `error.traces`.
    """
    return whole(
        iter_pairs(
            model,
            probes,
            texts,
            other_images,
            condition=condition,
            text=text,
            lens=lens,
            last_state_only=last_state_only,
            batch_size=batch_size,
            on_progress=on_progress,
        )
    )


def iter_pairs(
    model: HookedModel,
    probes: Sequence[Probe],
    texts: Sequence[str | Sequence[int]],
    other_images: Sequence[ImageSource | Sequence[ImageSource] | None],
    *,
    condition: str,
    text: Literal["answer", "reference"] = "answer",
    lens: LensName = "normed",
    last_state_only: bool = False,
    batch_size: int = DEFAULT_BATCH_SIZE,
    on_progress: OnProgress | None = None,
) -> Iterator[PairedTrace]:
    """How much the distributions over a text depend on the image.

    The prompt is processed anew for the other image, whose size may give it another number of image
    tokens; the runs are aligned at the text.

    Args:
        model: an opened model.
        probes: what was asked, with their own images.
        texts: per probe what both runs say, as token ids or as text.
        other_images: per probe the image or images of the second run; None asks without.
        condition: what the second run changed, for the report.
        text: whose words `texts` are.
        lens: as in `record`.
        last_state_only: read state L alone, which is all that likelihoods need and costs 1/S of the lens;
            the paired traces then have S = 1.
        batch_size: probes run together.
        on_progress: called after each batch.

    Yields:
        One paired trace per probe, in order.

    Raises:
        ProbesFailed: of some probes the text is empty or not in the vocabulary, or the model failed;
            raised after all were tried.
        UsageError: the sequences differ in length.
    """
    for (pair,) in iter_conditions(
        model,
        probes,
        texts,
        {condition: other_images},
        text=text,
        lens=lens,
        last_state_only=last_state_only,
        batch_size=batch_size,
        on_progress=on_progress,
    ):
        yield pair


def iter_conditions(
    model: HookedModel,
    probes: Sequence[Probe],
    texts: Sequence[str | Sequence[int]],
    conditions: Mapping[str, Sequence[ImageSource | Sequence[ImageSource] | None]],
    *,
    text: Literal["answer", "reference"] = "answer",
    lens: LensName = "normed",
    last_state_only: bool = False,
    batch_size: int = DEFAULT_BATCH_SIZE,
    on_progress: OnProgress | None = None,
) -> Iterator[tuple[PairedTrace, ...]]:
    """`iter_pairs` for several conditions at once: the run with the probe's own images is shared.

    Args:
        model: as in `iter_pairs`; so are all arguments that are not named here.
        conditions: what a run changed -> per probe its image or images; None asks without.

    Yields:
        Per probe, in order, one paired trace for each condition.

    Raises:
        ProbesFailed, UsageError: as `iter_pairs`.
    """
    shown = [
        [p.showing(_several(i)) for p, i in zip_equal(probes, images)]
        for images in conditions.values()
    ]
    zip_equal(texts, probes)
    reader = Lens(model.anatomy, lens)
    read = slice(-1, None) if last_state_only else slice(None)
    words = Texts(model)
    failures: Failures = []

    def ids_of(i: int) -> list[int]:
        said = texts[i]
        return (
            answer_ids(model, probes[i], said) if isinstance(said, str) else [int(j) for j in said]
        )

    found = aligned(probes, ids_of, failures)
    said = [ids for _, ids in found]
    asked = [probes[i] for i, _ in found]
    changed = [[row[i] for i, _ in found] for row in shown]
    tokens = 0

    def states(here: slice, others: Sequence[Probe]) -> Tensor:
        """A changed probe may not share a batch with another."""
        rows: list[Tensor] = []
        for group in batches(others[here], batch_size):
            start = here.start + len(rows)
            rows += forced_states(model, group, said[start : start + len(group)])[0]
        return torch.cat(rows)[:, read]

    def make(here: slice) -> list[tuple[PairedTrace, ...] | LvlmAuditError]:
        nonlocal tokens
        batch = asked[here]
        # The changed runs first: a processor that refuses them does so before anything costs time.
        others = [states(here, row) for row in changed]
        own, prompts = forced_states(model, batch, said[here])
        ids = np.array([i for row in said[here] for i in row], np.int64)
        divergence, surprise = reader.compare(
            [torch.cat(own)[:, read], *others], torch.from_numpy(ids)
        )
        made: list[tuple[PairedTrace, ...] | LvlmAuditError] = []
        start = 0
        for probe, prompt, row in zip(batch, prompts, said[here], strict=True):
            rows = slice(start, start + len(row))
            start = rows.stop
            pieces = words.pieces(row)
            try:
                made.append(
                    tuple(
                        PairedTrace(
                            asked=remembered(probe, prompt),
                            lens=lens,
                            condition=condition,
                            text=text,
                            token_ids=ids[rows],
                            token_texts=pieces,
                            token_classes=words.classes(pieces, row, probe.transcript),
                            divergence=np.ascontiguousarray(divergence[k, rows]),
                            log2_probability=np.ascontiguousarray(surprise[[0, k + 1], rows]),
                        )
                        for k, condition in enumerate(conditions)
                    )
                )
            except TraceError as error:
                made.append(error)
        tokens += len(ids)
        if on_progress is not None:
            on_progress(here.stop, len(probes), tokens)
        return made

    yield from each_batch(asked, batch_size, make, failures)
    if failures:
        raise ProbesFailed(failures, len(probes))


def _several(images: ImageSource | Sequence[ImageSource] | None) -> Sequence[ImageSource]:
    if images is None:
        return ()
    return (images,) if isinstance(images, ImageSource) else images


def zip_equal(one: Sequence[_A], two: Sequence[_B]) -> list[tuple[_A, _B]]:
    """Pairs of two sequences that belong together.

    Raises:
        UsageError: they differ in length.
    """
    if len(one) != len(two):
        raise UsageError(f"{len(one)} and {len(two)} items were given that belong together.")
    return list(zip(one, two, strict=True))
