"""Progress while recording, as pytest's own verbosity wants it."""

from __future__ import annotations

import pytest

from lvlm_audit.progress import Progress
from lvlm_audit.report.terminal.progress import Shown


class Reporter(Shown):
    """A context manager that is called while an audit records.

    Args:
        config: pytest's.
        quiet: show nothing (xdist workers, `-q -q`).
    """

    def __init__(self, config: pytest.Config, *, quiet: bool) -> None:
        self._terminal = config.pluginmanager.getplugin("terminalreporter")
        self._quiet = quiet or self._terminal is None or config.get_verbosity() < -1
        super().__init__(self._write)

    def __call__(self, event: Progress) -> None:
        """Show a step and how far it is."""
        if not self._quiet:
            super().__call__(event)

    def _write(self, line: str) -> None:
        self._terminal.ensure_newline()
        self._terminal.write_line(line)
