"""The terminal summary of an audit, after pytest's own."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from lvlm_audit.settings.spelling import for_pytest, speaking

if TYPE_CHECKING:
    from lvlm_audit.pytest_plugin.session import AuditSession


def show(session: AuditSession, terminal: pytest.TerminalReporter) -> None:
    """Print the summary, what was written, and what could not be."""
    if session.problem is not None:
        terminal.section("lvlm_audit", sep="=")
        terminal.write_line(f"ERROR: {session.problem}", red=True)
    if session.audit is None:
        return
    from lvlm_audit.report.terminal.summary import summary

    width = session.config.get_terminal_writer().fullwidth
    terminal.section("lvlm_audit", sep="=")
    text = io.StringIO()
    console = Console(
        file=text,
        width=width,
        force_terminal=terminal.hasmarkup,
        no_color=not terminal.hasmarkup,
        legacy_windows=False,
    )
    # The console writes to memory, so it cannot know what the real terminal can show.
    with speaking(for_pytest):
        summary(session.audit, console, written=session.written, encoding=sys.stdout.encoding)
    terminal.write(text.getvalue())
    if session.kept is not None:
        terminal.write_line(session.kept, yellow=True)
