"""`lvlm-audit plan`: which blocks can be removed."""

from __future__ import annotations

import argparse

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
from lvlm_audit.settings.declared import FILES, PRUNING, add_options
from lvlm_audit.settings.files import separate
from lvlm_audit.settings.pruning import Wanted
from lvlm_audit.settings.spelling import spelled


def declare(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "plan", help="find decoder blocks that can be removed: nominate, certify, export"
    )
    add_model(parser)
    add_options(parser.add_argument, PRUNING)
    add_settings(parser, *ASKING)
    add_options(parser.add_argument, FILES)
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Prints the plan."""
    from rich.console import Console

    from lvlm_audit.document import PruningPlan
    from lvlm_audit.pruning.planning import plan_pruning
    from lvlm_audit.report.terminal.pruning import show
    from lvlm_audit.writers.outputs import outputs

    given = {name: getattr(options, name) for name in PRUNING}
    wanted = Wanted(**{name: value for name, value in given.items() if value is not None})
    asked = files(options)
    chosen = outputs(asked, PruningPlan)
    if wanted.export is not None:
        targets = [(spelled(t.setting), t.path) for t in asked.targets()]
        separate([*targets, (spelled("export"), wanted.export)])
    plan = plan_pruning(
        settings(options),
        wanted,
        on_progress=progress(),
    )
    show(plan, Console())
    write(plan, chosen)
    return 1 if plan.export_refused else 0
