"""`lvlm-audit render`: a page from a document."""

from __future__ import annotations

import argparse
from pathlib import Path

from lvlm_audit.cli.options import Commands, say_written


def declare(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser("render", help="render a document as HTML, or in another format")
    parser.add_argument(
        "document", type=Path, help="JSON written by --lvlm-json, or by plan --json"
    )
    parser.add_argument("report", type=Path, help="file to write")
    parser.add_argument(
        "--format",
        default="html",
        help="html, json, or one that a package registers (default: html)",
    )
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Prints the page's path."""
    from lvlm_audit.document.kinds import read_document
    from lvlm_audit.writers.outputs import output, write_all

    document = read_document(options.document)
    chosen = output(options.format, options.report, type(document), "--format")
    for path in write_all(document, [chosen]):
        say_written(path, "")
    return 0
