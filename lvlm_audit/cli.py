"""`lvlm-audit`: what is done outside a pytest run. Every error is one message and exit code 1."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lvlm_audit import __version__
from lvlm_audit.errors import LvlmAuditError

if TYPE_CHECKING:
    from lvlm_audit.audit.plan import Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    # Everything behind `run` is pytest's, options included.
    if arguments[:1] == ["run"]:
        return _guarded(lambda: _run(arguments[1:]))
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 2
    commands = {
        "calibrate": _calibrate,
        "demo": _demo,
        "doctor": _doctor,
        "models": _models,
        "plan": _plan,
        "render": _render,
    }
    return _guarded(lambda: commands[options.command](options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lvlm-audit", description="pytest for the inside of a vision-language model"
    )
    parser.add_argument("--version", action="version", version=f"lvlm-audit {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser(
        "run",
        help="run the shipped checks; takes pytest's options "
        "(lvlm-audit run --lvlm-model llava-1.5-7b --lvlm-report report.html)",
    )
    commands.add_parser("demo", help="fetch and assemble the demo model (about 90 MB, once)")
    render = commands.add_parser("render", help="render an audit document as HTML")
    render.add_argument("document", type=Path, help="JSON written by --lvlm-json")
    render.add_argument("report", type=Path, help="HTML file to write")
    calibrate = commands.add_parser(
        "calibrate",
        help="measure the noise floor of every check: the same weights, other probes",
    )
    calibrate.add_argument(
        "model", nargs="?", help="checkpoint folder, hub id or alias; without it the demo model"
    )
    calibrate.add_argument(
        "--probes", type=Path, help="folder of images or JSONL; without it a bundled set"
    )
    calibrate.add_argument(
        "--rounds",
        type=int,
        help="sets of fresh probes (demo model, default 4), or pairs of halves (default 100)",
    )
    calibrate.add_argument("--checks", type=Path, help="folder of check_*.py; default: the shipped")
    calibrate.add_argument("--json", type=Path, help="write the calibration there")
    calibrate.add_argument("--lens", default="normed")
    _add_loading(calibrate)
    calibrate.add_argument("--max-new-tokens", type=int, default=48)
    calibrate.add_argument("--batch-size", type=int, default=8)
    calibrate.add_argument("--seed", type=int, default=0, help="of the halves (default: 0)")
    doctor = commands.add_parser(
        "doctor", help="open a checkpoint and say how the lens reads it, or why it cannot"
    )
    doctor.add_argument(
        "model", nargs="?", help="checkpoint folder, hub id or alias; without it the demo model"
    )
    _add_loading(doctor)
    plan = commands.add_parser(
        "plan", help="find decoder blocks that can be removed: nominate, certify, export"
    )
    plan.add_argument(
        "model", nargs="?", help="checkpoint folder, hub id or alias; without it the demo model"
    )
    plan.add_argument(
        "--budget", type=float, required=True, help="largest loss allowed, in the measure's unit"
    )
    plan.add_argument(
        "--measure",
        default="kl",
        help="kl: bits a token (default); disagreement: share of tokens; accuracy: drop of right answers",
    )
    plan.add_argument(
        "--max-blocks", type=int, help="largest set (default: a quarter of the depth)"
    )
    plan.add_argument(
        "--probes", type=Path, help="folder of images or JSONL; half nominates, half certifies"
    )
    plan.add_argument(
        "--export", type=Path, metavar="DIR", help="write the pruned checkpoint there"
    )
    plan.add_argument("--json", type=Path, help="write the plan there")
    plan.add_argument("--report", type=Path, help="write it as a page there")
    _add_loading(plan)
    plan.add_argument("--max-new-tokens", type=int, default=48)
    plan.add_argument("--batch-size", type=int, default=8)
    plan.add_argument(
        "--seed", type=int, default=0, help="of the halves and of resampling (default: 0)"
    )
    commands.add_parser("models", help="list the aliases that --lvlm-model knows")
    return parser


def _add_loading(parser: argparse.ArgumentParser) -> None:
    """How the model is opened; the names are those of pytest's options, without --lvlm-."""
    parser.add_argument("--adapter", type=Path, help="folder of a PEFT adapter over the model")
    parser.add_argument("--revision", help="branch, tag or commit of a hub model")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ..., or map")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument(
        "--trust-remote-code", action="store_true", help="run code that comes with the checkpoint"
    )


def _run(arguments: Sequence[str]) -> int:
    import pytest

    from lvlm_audit.spec.suite import shipped_folder

    # No configuration file of the folder that we happen to be called from takes part.
    folder = shipped_folder()
    own = ["--rootdir", str(folder), "-c", os.devnull, "-p", "no:cacheprovider"]
    # pytest cannot rewrite assertions of a package that is imported already; ours has none for it.
    own += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return int(pytest.main([str(folder), *own, *arguments]))


def _demo(options: argparse.Namespace) -> int:
    from lvlm_audit.demo.assemble import fetch_and_assemble

    del options
    folder = fetch_and_assemble(progress=lambda text: print(text, file=sys.stderr))
    print(folder)
    return 0


def _render(options: argparse.Namespace) -> int:
    from lvlm_audit.document import Audit
    from lvlm_audit.report.html import write

    write(Audit.load(options.document), options.report)
    print(options.report)
    return 0


def _calibrate(options: argparse.Namespace) -> int:
    from rich.console import Console

    from lvlm_audit.audit.calibrate import calibrate
    from lvlm_audit.report.terminal.calibration import show
    from lvlm_audit.spec.suite import load_family, suite
    from lvlm_audit.writing import check_writable

    if options.json is not None:
        check_writable(options.json)
    found = calibrate(
        suite() if options.checks is None else load_family([], [options.checks]),
        _settings(options, lens=options.lens),
        rounds=options.rounds,
        on_progress=_progress(),
    )
    show(found, Console())
    if options.json is not None:
        found.save(options.json)
        print(f"written {options.json}")
    return 0


def _plan(options: argparse.Namespace) -> int:
    from rich.console import Console

    from lvlm_audit.audit.pruning import Wanted, plan_pruning
    from lvlm_audit.report.html import write
    from lvlm_audit.report.terminal.pruning import show
    from lvlm_audit.writing import check_writable

    for path in (options.json, options.report):
        if path is not None:
            check_writable(path)
    plan = plan_pruning(
        _settings(options),
        Wanted(
            budget=options.budget,
            measure=options.measure,
            max_blocks=options.max_blocks,
            export=options.export,
        ),
        on_progress=_progress(),
    )
    show(plan, Console())
    if options.json is not None:
        plan.save(options.json)
        print(f"written {options.json}")
    if options.report is not None:
        write(plan, options.report)
        print(f"written {options.report}")
    return 0


def _settings(options: argparse.Namespace, **more: Any) -> Settings:
    """What the commands that record have in common."""
    from lvlm_audit.audit.plan import Settings

    return Settings(
        model=options.model,
        probes=options.probes,
        device=options.device,
        dtype=options.dtype,
        max_new_tokens=options.max_new_tokens,
        batch_size=options.batch_size,
        seed=options.seed,
        trust_remote_code=options.trust_remote_code,
        revision=options.revision,
        adapter=options.adapter,
        **more,
    )


def _doctor(options: argparse.Namespace) -> int:
    from rich.console import Console

    from lvlm_audit.audit.gather import open_subject
    from lvlm_audit.audit.plan import Settings
    from lvlm_audit.models.doctor import diagnose
    from lvlm_audit.models.opening import load
    from lvlm_audit.report.terminal.doctor import show

    settings = Settings(
        model=options.model,
        device=options.device,
        dtype=options.dtype,
        revision=options.revision,
        adapter=options.adapter,
    )
    checkpoint, _ = open_subject(settings)
    with load(
        checkpoint,
        device=options.device,
        dtype=options.dtype,
        trust_remote_code=options.trust_remote_code,
    ) as hooked:
        show(diagnose(hooked), Console())
    return 0


def _progress() -> Callable[[str, int, int], None]:
    """One line on standard error for each thing that is done."""
    last = ""

    def report(what: str, done: int, total: int) -> None:
        nonlocal last
        del done, total
        if what != last:
            print(what, file=sys.stderr)
        last = what

    return report


def _models(options: argparse.Namespace) -> int:
    from lvlm_audit.models.aliases import ALIASES

    del options
    width = max(map(len, ALIASES))
    for alias, name in ALIASES.items():
        print(f"{alias:<{width}}  {name}")
    return 0


def _guarded(command: Callable[[], int]) -> int:
    try:
        return command()
    except LvlmAuditError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
