"""Progress while recording: a live bar on a terminal, a line a step elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

import pytest
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)


class Reporter:
    """A context manager whose `progress` is called while an audit records.

    Args:
        config: pytest's.
        quiet: show nothing (xdist workers, `-q -q`).
    """

    def __init__(self, config: pytest.Config, *, quiet: bool) -> None:
        self._terminal = config.pluginmanager.getplugin("terminalreporter")
        self._quiet = quiet or self._terminal is None or config.get_verbosity() < -1
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._step = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def progress(self, what: str, done: int, total: int) -> None:
        """Show a step and how far it is."""
        if self._quiet:
            return
        if not sys.stderr.isatty():
            if what != self._step:
                self._terminal.ensure_newline()
                self._terminal.write_line(f"lvlm: {what}" + (f" ({total} probes)" if total else ""))
            self._step = what
            return
        if self._bar is None:
            self._bar = Progress(
                TextColumn("lvlm: {task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
        if what != self._step:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(what, total=total or None)
            self._step = what
        assert self._task is not None
        self._bar.update(self._task, completed=done)
