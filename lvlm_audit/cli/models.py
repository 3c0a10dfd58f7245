"""`lvlm-audit models`: the aliases."""

from __future__ import annotations

import argparse

from lvlm_audit.cli.options import Commands


def declare(commands: Commands) -> None:
    """Its options: none."""
    parser = commands.add_parser("models", help="list the aliases that --lvlm-model knows")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Prints them."""
    from lvlm_audit.models.aliases import ALIASES

    del options
    width = max(map(len, ALIASES))
    for alias, name in ALIASES.items():
        print(f"{alias:<{width}}  {name}")
    return 0
