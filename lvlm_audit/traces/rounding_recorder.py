"""The rounding recorder: emitted tokens fed again with other batches and threads, and nothing else changed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.probes.probe import Probe
from lvlm_audit.traces.batching import batches, failures_named
from lvlm_audit.traces.lens import LensReader
from lvlm_audit.traces.replaying import forced_states
from lvlm_audit.traces.rounding import RoundingTrace
from lvlm_audit.traces.trace import Trace

_SMALLEST = float(np.finfo(np.float32).tiny)


def record_rounding(
    model: HookedModel,
    probes: Sequence[Probe],
    answers: Sequence[Trace],
    recorded: Sequence[npt.NDArray[np.float64]],
    *,
    batch_size: int,
) -> list[RoundingTrace]:
    """The last margins of recorded answers, as they were recorded and in each of `ways`.

    Args:
        model: an opened model; torch's threads are as before afterwards.
        probes: a few.
        answers: what was recorded of each; no token is chosen anew.
        recorded: their last margins; NaN where a capture kept no runner-up.
        batch_size: of the recording, which no batch here exceeds.

    Raises:
        LvlmAuditError: the model fails on a probe.
    """
    reader = LensReader(model.anatomy)
    known = all(bool(np.isfinite(margins).all()) for margins in recorded)
    names = [f"as recorded, batch of {batch_size}"] if known else []
    found = [[margins] if known else [] for margins in recorded]
    texts = [[int(i) for i in trace.token_ids] for trace in answers]
    now = threads_of(model)
    for size, threads in ways(min(len(probes), batch_size), now, other_threads(now)):
        names.append(f"batch of {size}" + _in_words(threads))
        start = 0
        with using_threads(threads):
            for batch in batches(probes, size):
                said = texts[start : start + len(batch)]
                with failures_named(batch):
                    states, _ = forced_states(model, batch, said)
                for row, (own, ids) in enumerate(zip(states, said, strict=True)):
                    found[start + row].append(last_margins(reader, own, ids))
                start += len(batch)
    return [
        RoundingTrace(
            asked=trace.asked,
            token_ids=trace.token_ids,
            runs=tuple(names),
            margins=np.asarray(margins, dtype=np.float32),
        )
        for trace, margins in zip(answers, found, strict=True)
    ]


def threads_of(model: HookedModel) -> int | None:
    """Threads in use; None where the model is not on a processor that has any."""
    return torch.get_num_threads() if model.device.type == "cpu" else None


def other_threads(threads: int | None) -> int | None:
    """Another number of threads; None where that changes nothing, or no core is free for a second one.

    Two threads that wait for one core take fifty times as long as one, and other batches move margins as
    far.
    """
    if threads is None:
        return None
    if threads > 1:
        return 1
    try:
        waiting = os.getloadavg()[0]
    except (AttributeError, OSError):
        return None
    return 2 if (os.cpu_count() or 1) - waiting >= 1 else None


def ways(together: int, threads: int | None, other: int | None) -> list[tuple[int, int | None]]:
    """Batch sizes and thread counts: alone, together, and together with another number of threads.

    Args:
        together: how many probes there are to put into one batch.
        threads: in use now; None: they change nothing.
        other: another number; None: there is none.
    """
    batch = max(1, together)
    last = [] if other is None else [(batch, other)]
    return list(dict.fromkeys([(1, threads), (batch, threads), *last]))


def _in_words(threads: int | None) -> str:
    return "" if threads is None else f", {threads} thread{'' if threads == 1 else 's'}"


@contextmanager
def using_threads(count: int | None) -> Iterator[None]:
    """So many threads of torch, and as before afterwards; None changes nothing."""
    if count is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@torch.inference_mode()
def last_margins(
    reader: LensReader, states: Tensor, emitted: Sequence[int]
) -> npt.NDArray[np.float64]:
    """Bits by which each emitted token leads the best other one at the last state.

    Args:
        reader: of the model.
        states: [T, S, d]
        emitted: T ids.
    """
    logits = reader.logits(states[:, -1:])[:, 0]
    ids = torch.tensor(list(emitted), device=logits.device)[:, None]
    log_p = torch.log_softmax(logits, -1, dtype=torch.float32).clamp_min(float(np.log(_SMALLEST)))
    own = log_p.gather(1, ids)[:, 0]
    other = log_p.scatter(1, ids, -torch.inf).amax(-1)
    margins: npt.NDArray[np.float64] = (own.double() - other.double()).cpu().numpy() / np.log(2)
    return margins
