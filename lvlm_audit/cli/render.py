"""`lvlm-audit render`: a page from a document."""

from __future__ import annotations

import argparse
from pathlib import Path

from lvlm_audit.cli.options import Commands, say_written


def declare(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser("render", help="render an audit document as HTML")
    parser.add_argument("document", type=Path, help="JSON written by --lvlm-json")
    parser.add_argument("report", type=Path, help="HTML file to write")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Prints the page's path."""
    from lvlm_audit.document import Audit
    from lvlm_audit.report.html import write

    write(Audit.load(options.document), options.report)
    say_written(options.report, "")
    return 0
