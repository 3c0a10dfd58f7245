"""`lvlm-audit calibrate`: the noise floor of every check."""

from __future__ import annotations

import argparse
from pathlib import Path

from lvlm_audit.cli.options import (
    ASKING,
    Commands,
    add_model,
    add_settings,
    files,
    progress,
    settings,
    write,
)
from lvlm_audit.settings.declared import FILES, add_options


def declare(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "calibrate",
        help="measure the noise floor of every check: the same weights, other probes",
    )
    add_model(parser)
    add_settings(parser, *ASKING, "lens")
    parser.add_argument(
        "--rounds",
        type=int,
        help="sets of fresh probes (demo model, default 4), or pairs of halves (default 100)",
    )
    parser.add_argument("--checks", type=Path, help="folder of check_*.py; default: the shipped")
    add_options(parser.add_argument, FILES, only=("json", "write"))
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Prints a table."""
    from rich.console import Console

    from lvlm_audit.auditing.calibrate import calibrate
    from lvlm_audit.document import Calibration
    from lvlm_audit.report.terminal.calibration import show
    from lvlm_audit.spec.suite import load_family, suite
    from lvlm_audit.writers.outputs import outputs

    chosen = outputs(files(options), Calibration)
    found = calibrate(
        suite() if options.checks is None else load_family([], [options.checks]),
        settings(options),
        rounds=options.rounds,
        on_progress=progress(),
    )
    show(found, Console())
    write(found, chosen)
    return 0
