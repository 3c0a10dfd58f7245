"""Who hears of progress: the caller's own listener, else a bar or a line where a person looks on."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lvlm_audit.progress import OnProgress, Progress

_log = logging.getLogger(__name__)


@contextmanager
def watched(listener: OnProgress | None) -> Iterator[OnProgress]:
    """A listener that also writes each step's beginning to the log."""
    if listener is not None:
        yield _logged(listener)
        return
    from lvlm_audit.report.terminal.progress import Shown, in_a_notebook

    if not sys.stderr.isatty() and not in_a_notebook():
        yield _logged(lambda _: None)
        return
    with Shown() as shown:
        yield _logged(shown)


def _logged(listener: OnProgress) -> OnProgress:
    step = ""

    def hear(event: Progress) -> None:
        nonlocal step
        if event.what != step:
            _log.info("%s", event)
        step = event.what
        listener(event)

    return hear
