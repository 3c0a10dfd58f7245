"""Progress while recording: a bar on a terminal, one changing line in a notebook, else a line a step."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bar

from lvlm_audit.progress import Progress
from lvlm_audit.report.words import visible


class Shown:
    """A context manager that is called with each event.

    Args:
        line: writes a line where there is neither a terminal nor a notebook; None: to standard error.
    """

    def __init__(self, line: Callable[[str], None] | None = None) -> None:
        self._line = line or (lambda text: print(text, file=sys.stderr))
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._cell: Any = None
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

    def __call__(self, event: Progress) -> None:
        """Show a step and how far it is."""
        begins = event.what != self._step
        self._step = event.what
        if in_a_notebook():
            self._in_cell(event)
        elif sys.stderr.isatty():
            self._on_terminal(event, begins)
        elif begins:
            counted = f" ({event.total} {event.unit})" if event.total else ""
            self._line(f"lvlm: {visible(event.what)}{counted}")

    def _on_terminal(self, event: Progress, begins: bool) -> None:
        if self._bar is None:
            self._bar = Bar(
                TextColumn("lvlm: {task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
        if begins or self._task is None:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(visible(event.what), total=event.total or None)
        self._bar.update(self._task, completed=event.done)

    def _in_cell(self, event: Progress) -> None:
        from IPython.display import display

        shown = {"text/plain": f"lvlm: {visible(str(event))}"}
        if self._cell is None:
            self._cell = display(shown, raw=True, display_id=True)
        else:
            self._cell.update(shown, raw=True)


def in_a_notebook() -> bool:
    """Whether a Jupyter kernel runs us: its front end shows what is displayed."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")
