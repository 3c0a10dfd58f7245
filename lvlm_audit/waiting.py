"""Saying what is waited for: a command that is silent for seconds looks like one that hangs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 2.0
"""Seconds that a person waits without being told for what."""


@contextmanager
def said_after(what: str, patience: float | None = None) -> Iterator[None]:
    """Print a line to standard error if the block takes longer than that.

    What holds Python up as a whole (reading JSON does) cannot be interrupted for it: say that before.

    Args:
        what: the line.
        patience: seconds; by default `PATIENCE`.
    """
    timer = threading.Timer(PATIENCE if patience is None else patience, say, [what])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def say(what: str) -> None:
    """Print a line to standard error now."""
    print(what, file=sys.stderr, flush=True)
