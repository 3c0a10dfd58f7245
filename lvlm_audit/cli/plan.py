"""`lvlm-audit plan`: which blocks can be removed."""

from __future__ import annotations

import argparse
from pathlib import Path

from lvlm_audit.cli.options import ASKING, Commands, add_model, add_settings, progress, settings
from lvlm_audit.errors import UsageError
from lvlm_audit.settings.declared import PRUNING
from lvlm_audit.settings.options import add_options
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
    from lvlm_audit.writing import check_writable

    given = {name: getattr(options, name) for name in PRUNING}
    wanted = Wanted(**{name: value for name, value in given.items() if value is not None})
    written = [path for path in (options.json, options.report, wanted.export) if path is not None]
    if len({path.resolve() for path in written}) < len(written):
        raise UsageError("--json, --report and --export name the same path. Name different ones.")
    for path in (options.json, options.report):
        if path is not None:
            check_writable(path)
    plan = plan_pruning(
        settings(options),
        wanted,
        on_progress=progress(),
    )
    show(plan, Console())
    if options.json is not None:
        plan.save(options.json)
        print(f"written {options.json}")
    if options.report is not None:
        write(plan, options.report)
        print(f"written {options.report}")
    return 1 if plan.export_refused else 0
