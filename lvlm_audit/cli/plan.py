"""`lvlm-audit plan`: which blocks can be removed."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

from lvlm_audit.cli.options import Commands, add_asking, add_model, progress, say_written, settings
from lvlm_audit.errors import UsageError


def declare(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "plan", help="find decoder blocks that can be removed: nominate, certify, export"
    )
    add_model(parser)
    parser.add_argument(
        "--budget", type=float, required=True, help="largest loss allowed, in the measure's unit"
    )
    parser.add_argument(
        "--measure",
        default="kl",
        help="kl: bits a token (default); disagreement: share of tokens; accuracy: share of right answers lost",
    )
    parser.add_argument(
        "--max-blocks", type=int, help="largest set (default: a quarter of the depth)"
    )
    add_asking(parser)
    parser.add_argument(
        "--export", type=Path, metavar="DIR", help="write the pruned checkpoint there"
    )
    parser.add_argument("--json", type=Path, help="write the plan there")
    parser.add_argument("--report", type=Path, help="write it as a page there")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the halves and of resampling (default: 0)"
    )
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Prints the plan."""
    from rich.console import Console

    from lvlm_audit.audit.pruning import Wanted, plan_pruning
    from lvlm_audit.report.html import write
    from lvlm_audit.report.terminal.pruning import show
    from lvlm_audit.writing import check_writable, same_place

    files = [path for path in (options.json, options.report) if path is not None]
    for path in files:
        check_writable(path)
    written = [*files, *([] if options.export is None else [options.export])]
    if any(same_place(*pair) for pair in itertools.combinations(written, 2)):
        raise UsageError("--json, --report and --export name the same path. Name different ones.")
    plan = plan_pruning(
        settings(options),
        Wanted(
            budget=options.budget,
            measure=options.measure,
            max_blocks=options.max_blocks,
            export=options.export,
        ),
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
