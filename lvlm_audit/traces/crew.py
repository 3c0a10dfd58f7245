"""A crew of threads, each of which computes alone.

torch spreads every operation over all cores and lets them meet after each one. The lens makes a
hundred short passes per token; on a machine that does anything else as well, meeting costs more than
the passes. Here whole pieces of work are handed out, products and passes alike, and the threads meet
once at the end.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch


def shared_out(work: Callable[[Iterator[int]], None], n: int, lanes: int) -> None:
    """Runs `work` in several threads at once, each call taking its indices from one common queue.

    Args:
        work: consumes an iterator of indices; each of range(n) goes to exactly one caller, in
            increasing order for each. Runs in inference mode.
        n: how many pieces there are.
        lanes: how many threads at most; the cores are divided among them.
    """
    cores = torch.get_num_threads()
    lanes = min(lanes, cores, n)
    if lanes < 2:
        with torch.inference_mode():
            work(iter(range(n)))
        return
    # Advancing a built-in iterator is atomic in CPython, so the threads can share one.
    queue = iter(range(n))

    def alone(_: int) -> None:
        with torch.inference_mode():
            work(queue)

    each = cores // lanes
    # OpenMP counts threads per calling thread, MKL for the whole process: both must be told.
    torch.set_num_threads(each)
    try:
        for _ in _crew(lanes, each).map(alone, range(lanes)):
            pass
    finally:
        torch.set_num_threads(cores)


@functools.cache
def _crew(size: int, cores_each: int) -> ThreadPoolExecutor:
    crew = ThreadPoolExecutor(size, thread_name_prefix="lvlm-audit-lens")
    ready = threading.Barrier(size)

    def set_up(_: int) -> None:
        torch.set_num_threads(cores_each)
        # Nobody leaves before all are set up: one that came late would set MKL's number, which is
        # everybody's, after it had been put right.
        ready.wait()

    for _ in crew.map(set_up, range(size)):
        pass
    return crew


# Threads do not survive a fork; a child makes its own.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_crew.cache_clear)
