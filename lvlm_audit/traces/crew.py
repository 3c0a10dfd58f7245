"""A crew of threads, each of which computes alone.

torch spreads every operation over all cores and lets them meet after each one. The lens makes some
thirty short passes per token; on a machine that does anything else as well, meeting costs more than
the passes. Here whole tokens are handed out, and the threads meet once a chunk.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch


def shared_out(work: Callable[[Iterator[int]], None], n: int) -> None:
    """Runs `work` on every core at once, each call taking its indices from one common queue.

    Args:
        work: consumes an iterator of indices; each of range(n) goes to exactly one caller, in
            increasing order for each. Runs in inference mode.
        n: how many items there are.
    """
    cores = min(torch.get_num_threads(), n)
    if cores < 2:
        work(iter(range(n)))
        return
    # Advancing a built-in iterator is atomic in CPython, so the threads can share one.
    queue = iter(range(n))

    def alone(_: int) -> None:
        with torch.inference_mode():
            work(queue)

    for _ in _crew(cores).map(alone, range(cores)):
        pass


@functools.cache
def _crew(size: int) -> ThreadPoolExecutor:
    ready = threading.Barrier(size + 1)

    def set_up() -> None:
        # The number is the calling thread's own under OpenMP, but also the default of new threads,
        # which is put right below.
        torch.set_num_threads(1)
        ready.wait()

    before = torch.get_num_threads()
    crew = ThreadPoolExecutor(size, thread_name_prefix="lvlm-audit-lens")
    for _ in range(size):
        crew.submit(set_up)
    ready.wait()
    torch.set_num_threads(before)
    return crew


# Threads do not survive a fork; a child makes its own.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_crew.cache_clear)
