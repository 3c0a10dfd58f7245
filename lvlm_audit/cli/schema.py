"""`lvlm-audit schema`: the JSON Schema of a document."""

from __future__ import annotations

import argparse

from lvlm_audit.cli.options import Commands

_DOCUMENTS = ("audit", "calibration", "pruning")


def declare(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser("schema", help="print the JSON Schema of a document")
    parser.add_argument("document", nargs="?", choices=_DOCUMENTS, default="audit")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Prints it."""
    import json

    from lvlm_audit.document.kinds import KINDS
    from lvlm_audit.document.schema import json_schema

    print(json.dumps(json_schema(KINDS[f"lvlm_audit/{options.document}"]), indent=1))
    return 0
