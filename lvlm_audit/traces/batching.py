"""Batches of probes, and whose fault it is when one fails."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import TypeVar

import torch

from lvlm_audit.errors import (
    LvlmAuditError,
    ProbeError,
    ProbesFailed,
    RecordingError,
    TraceError,
    UsageError,
)
from lvlm_audit.probes.probe import Probe

_Made = TypeVar("_Made")
_Recorded = TypeVar("_Recorded")

Failures = list[tuple[str, LvlmAuditError]]
"""Per failed probe its id and the reason."""

ONE_PROBES_FAULT = (ProbeError, RecordingError, TraceError)
"""Errors that concern one probe; every other would meet the next probe too."""


def batches(probes: Sequence[Probe], size: int) -> Iterator[list[Probe]]:
    """Probes in order, in groups that one processor call can take.

    Probes that show different numbers of images are not mixed, and prepared ones go alone.

    Raises:
        UsageError: size below 1.
    """
    at_least_one("batch_size", size)
    for (prepared, _), group in groupby(
        probes, key=lambda probe: (probe.tensors is not None, len(probe.images))
    ):
        alike = list(group)
        step = 1 if prepared else size
        for start in range(0, len(alike), step):
            yield alike[start : start + step]


def each_batch(
    probes: Sequence[Probe],
    size: int,
    make: Callable[[slice], Iterable[_Made | LvlmAuditError]],
    failures: Failures,
) -> Iterator[_Made]:
    """What is made of each batch, whatever happens to single probes.

    A batch that fails is halved until the probe whose fault it is stands alone, so that the others
    are recorded all the same, and a batch that memory cannot hold is tried in smaller ones.

    Args:
        probes: all of them.
        size: probes in a batch.
        make: makes one item, or one error, per probe of a slice of probes.
        failures: appended to, in the order of the probes.

    Raises:
        LvlmAuditError: what concerns every probe (an unusable model or option).
        UsageError: size below 1.
    """
    start = 0
    for batch in batches(probes, size):
        yield from _halving(probes, slice(start, start + len(batch)), make, failures)
        start += len(batch)


def _halving(
    probes: Sequence[Probe],
    here: slice,
    make: Callable[[slice], Iterable[_Made | LvlmAuditError]],
    failures: Failures,
) -> Iterator[_Made]:
    batch = probes[here]
    made: Iterable[_Made | LvlmAuditError] | None = None
    try:
        with failures_named(batch):
            made = list(make(here))
    except ONE_PROBES_FAULT as error:
        # Its frames hold the failed batch's tensors, and memory may be what was short.
        _release(error)
        if len(batch) == 1:
            made = [error]
    if made is None:
        middle = (here.start + here.stop) // 2
        yield from _halving(probes, slice(here.start, middle), make, failures)
        yield from _halving(probes, slice(middle, here.stop), make, failures)
        return
    for probe, item in zip(batch, made, strict=True):
        if isinstance(item, LvlmAuditError):
            failures.append((probe.id, item))
        else:
            yield item


def whole(recording: Iterator[_Recorded]) -> list[_Recorded]:
    """Everything that a recording hands on.

    Raises:
        ProbesFailed: as the recording, with what it handed on in `error.traces`.
    """
    items: list[_Recorded] = []
    try:
        # One by one: what came before an error must not be lost with it.
        for item in recording:
            items.append(item)
    except ProbesFailed as error:
        raise ProbesFailed(error.failures, error.asked, items) from error
    return items


def _release(error: BaseException | None) -> None:
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


@contextmanager
def failures_named(batch: Sequence[Probe]) -> Iterator[None]:
    """Whatever a model raises on a batch becomes an error that names its probes.

    Raises:
        RecordingError: the model raised something that is not ours.
    """
    try:
        yield
    except LvlmAuditError:
        raise
    except Exception as error:
        ids = ", ".join(repr(probe.id) for probe in batch[:4])
        more = f" and {len(batch) - 4} more" if len(batch) > 4 else ""
        shown = "image and prompt" if any(probe.images for probe in batch) else "prompt"
        hint = f"Look at its {shown}, or drop it."
        if isinstance(error, IndexError):
            # Learned positions end with the context; the model says no more than that an index did.
            hint = (
                "Prompt and answer may be longer than the model's context: allow fewer new tokens."
            )
        if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
            hint = "Memory ran out: try a smaller image or fewer tokens."
        first = (str(error).strip().splitlines() or [""])[0]
        raise RecordingError(
            f"the model failed on probe {ids}{more}: {type(error).__name__}: {first}. {hint}"
        ) from error


def at_least_one(name: str, value: int) -> None:
    """Refuses counts that would record nothing.

    Raises:
        UsageError: value below 1.
    """
    if value < 1:
        raise UsageError(f"{name} must be at least 1, not {value}.")
