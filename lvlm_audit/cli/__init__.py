"""`lvlm-audit`: what is done outside a pytest run, one module a command.

Every error is one message and exit code 1. What a command needs is imported when it runs: torch is
not loaded to list names.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from lvlm_audit.cli import calibrate, demo, doctor, models, plan, power, render, run, schema
from lvlm_audit.errors import LvlmAuditError
from lvlm_audit.report.words import error_words
from lvlm_audit.settings.spelling import for_command, speaking
from lvlm_audit.version import __version__

_COMMANDS = (run, demo, render, calibrate, power, doctor, plan, models, schema)
"""In the order of the help."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # Everything behind `run` is pytest's, options included.
    if arguments[:1] == ["run"]:
        return _guarded(lambda: run.under_pytest(arguments[1:]))
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 2
    with speaking(for_command(vars(options))):
        return _guarded(lambda: int(options.execute(options)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lvlm-audit", description="pytest for the inside of a vision-language model"
    )
    parser.add_argument("--version", action="version", version=f"lvlm-audit {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in _COMMANDS:
        command.declare(commands)
    return parser


def _guarded(command: Callable[[], int]) -> int:
    try:
        return command()
    except LvlmAuditError as error:
        print(error_words(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
