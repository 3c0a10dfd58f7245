"""`lvlm-audit doctor`: how the lens reads a checkpoint."""

from __future__ import annotations

import argparse

from lvlm_audit.cli.options import Commands, add_model, settings


def declare(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "doctor", help="open a checkpoint and say how the lens reads it, or why it cannot"
    )
    add_model(parser)
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Prints what was found."""
    from rich.console import Console

    from lvlm_audit.auditing.subject import open_subject
    from lvlm_audit.engine.local import opened
    from lvlm_audit.models.doctor import diagnose
    from lvlm_audit.report.terminal.doctor import show

    chosen = settings(options)
    checkpoint, _ = open_subject(chosen)
    with opened(chosen, checkpoint) as hooked:
        show(diagnose(hooked), Console())
    return 0
