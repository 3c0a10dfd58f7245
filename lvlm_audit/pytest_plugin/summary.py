"""The terminal summary of an audit, after pytest's own."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

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
    if not session.audits:
        return
    from lvlm_audit.report.terminal.series import series
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
        facts: dict[str, Any] = {"written": session.written, "encoding": sys.stdout.encoding}
        if session.series().several:
            left_out = session.series().notes
            series(session.audits, console, baseline=session.baseline(), left_out=left_out, **facts)
        else:
            (audit,) = session.audits.values()
            summary(audit, console, **facts)
    terminal.write(text.getvalue())
    if session.kept is not None:
        terminal.write_line(session.kept, yellow=True)
