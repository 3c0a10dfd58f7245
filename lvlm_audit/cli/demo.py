"""`lvlm-audit demo`: the demo model, and fresh scenes to ask it about."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lvlm_audit.cli.options import Commands
from lvlm_audit.errors import UsageError


def declare(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "demo",
        help="fetch and assemble the demo model (about 90 MB, once), or draw fresh scenes for it",
    )
    parser.add_argument(
        "--scenes",
        type=Path,
        metavar="DIR",
        help="write labelled scenes there, for --lvlm-probes DIR/probes.jsonl; fetches nothing",
    )
    parser.add_argument("--count", type=int, default=48, help="number of scenes (default: 48)")
    parser.add_argument(
        "--questions", type=int, default=1, help="about each scene; with 4 one of each kind"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="which scenes; 0 are those of the audit (default: 1)"
    )
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Prints the model's folder, or the probe file."""
    print(_model() if options.scenes is None else _scenes(options))
    return 0


def _model() -> Path:
    from lvlm_audit.demo.assemble import fetch_and_assemble

    return fetch_and_assemble(progress=lambda text: print(text, file=sys.stderr))


def _scenes(options: argparse.Namespace) -> Path:
    from lvlm_audit.demo.probes import demo_probes
    from lvlm_audit.probes.saving import save

    for name in ("count", "questions"):
        if getattr(options, name) < 1:
            raise UsageError(f"--{name} {getattr(options, name)} asks nothing; give at least 1.")
    if options.seed < 0:
        raise UsageError(f"--seed {options.seed} names no scenes; give 0 or more.")
    probes = demo_probes(options.count, options.seed, questions=options.questions)
    return save(probes, options.scenes)
