"""Batches of probes, and whose fault it is when one fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

import torch

from lvlm_audit.errors import LvlmAuditError, RecordingError, UsageError
from lvlm_audit.probes.probe import Probe


def batches(probes: Sequence[Probe], size: int) -> Iterator[list[Probe]]:
    """Probes in order, in groups that one processor call can take.

    Probes with and without an image are not mixed, and prepared ones go alone.

    Raises:
        UsageError: size below 1.
    """
    at_least_one("batch_size", size)
    for (prepared, _), group in groupby(
        probes, key=lambda probe: (probe.tensors is not None, probe.image is not None)
    ):
        alike = list(group)
        step = 1 if prepared else size
        for start in range(0, len(alike), step):
            yield alike[start : start + step]


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
        if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
            hint = "Memory ran out: try a smaller batch_size."
        elif len(batch) > 1:
            hint = "With batch_size=1 the message names the one probe."
        else:
            hint = "Look at its image and prompt, or drop it."
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
