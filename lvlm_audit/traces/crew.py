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
        work(iter(range(n)))
        return
    # Advancing a built-in iterator is atomic in CPython, so the threads can share one.
    queue = iter(range(n))

    def alone(_: int) -> None:
        with torch.inference_mode():
            work(queue)

    for _ in _crew(lanes, cores // lanes).map(alone, range(lanes)):
        pass


@functools.cache
def _crew(size: int, cores_each: int) -> ThreadPoolExecutor:
    ready = threading.Barrier(size + 1)

    def set_up() -> None:
        # The number is the calling thread's own under OpenMP, but also the default of new threads,
        # which is put right below.
        torch.set_num_threads(cores_each)
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
