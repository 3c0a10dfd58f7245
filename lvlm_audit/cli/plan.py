"""`lvlm-audit plan`: which blocks can be removed."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

from lvlm_audit.cli.options import (
    ASKING,
    Commands,
    add_model,
    add_settings,
    progress,
    say_written,
    settings,
)
from lvlm_audit.errors import UsageError
from lvlm_audit.settings.declared import PRUNING, add_options
from lvlm_audit.settings.pruning import Wanted


def declare(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "plan", help="find decoder blocks that can be removed: nominate, certify, export"
    )
    add_model(parser)
    add_options(parser.add_argument, PRUNING)
    add_settings(parser, *ASKING)
    parser.add_argument("--json", type=Path, help="write the plan there")
    parser.add_argument("--report", type=Path, help="write it as a page there")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Prints the plan."""
    from rich.console import Console

    from lvlm_audit.pruning.planning import plan_pruning
    from lvlm_audit.report.html import write
    from lvlm_audit.report.terminal.pruning import show
    from lvlm_audit.writing import check_writable, same_place

    given = {name: getattr(options, name) for name in PRUNING}
    wanted = Wanted(**{name: value for name, value in given.items() if value is not None})
    files = [path for path in (options.json, options.report) if path is not None]
    for path in files:
        check_writable(path)
    written = [*files, *([] if wanted.export is None else [wanted.export])]
    if any(same_place(*pair) for pair in itertools.combinations(written, 2)):
        raise UsageError("--json, --report and --export name the same path. Name different ones.")
    plan = plan_pruning(
        settings(options),
        wanted,
        on_progress=progress(),
    )
    show(plan, Console())
    if options.json is not None:
        plan.save(options.json)
        say_written(options.json)
    if options.report is not None:
        write(plan, options.report)
        say_written(options.report)
    return 1 if plan.export_refused else 0
