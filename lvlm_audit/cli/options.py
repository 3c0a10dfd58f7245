"""The options that several commands share, and the settings that they make."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lvlm_audit.audit.plan import Settings

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Commands = Any


def add_model(parser: argparse.ArgumentParser) -> None:
    """Which model, and how it is opened; the names are those of pytest's options, without --lvlm-."""
    parser.add_argument(
        "model", nargs="?", help="checkpoint folder, hub id or alias; without it the demo model"
    )
    parser.add_argument("--adapter", type=Path, help="folder of a PEFT adapter over the model")
    parser.add_argument("--revision", help="branch, tag or commit of a hub model")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ..., or map")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument(
        "--trust-remote-code", action="store_true", help="run code that comes with the checkpoint"
    )


def add_asking(parser: argparse.ArgumentParser) -> None:
    """What is asked, and how much is answered."""
    parser.add_argument(
        "--probes", type=Path, help="folder of images or probe file; without it a bundled set"
    )
    parser.add_argument(
        "--probe-format", default="auto", help="auto, jsonl, pope, amber, hallusion or chair"
    )
    parser.add_argument(
        "--image-folder", type=Path, help="what a probe file's image paths are relative to"
    )
    parser.add_argument("--max-new-tokens", type=int, default=48)
    parser.add_argument("--batch-size", type=int, default=8)


def settings(options: argparse.Namespace, **more: Any) -> Settings:
    """Of a command that has both kinds of options and a seed."""
    from lvlm_audit.audit.plan import Settings

    return Settings(
        **opening(options),
        probes=options.probes,
        probe_format=options.probe_format,
        image_folder=options.image_folder,
        max_new_tokens=options.max_new_tokens,
        batch_size=options.batch_size,
        seed=options.seed,
        **more,
    )


def opening(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that say which model and how it is opened."""
    names = ("model", "adapter", "revision", "device", "dtype", "trust_remote_code")
    return {name: getattr(options, name) for name in names}


def say_written(path: Path, words: str = "written ") -> None:
    """Name a file that was written; not in the middle of what was written to standard output."""
    from lvlm_audit.writing import is_stream

    print(f"{words}{path}", file=sys.stderr if is_stream(path) else sys.stdout)


def progress() -> Callable[[str, int, int], None]:
    """One line on standard error for each thing that is done."""
    last = ""

    def report(what: str, done: int, total: int) -> None:
        nonlocal last
        del done, total
        if what != last:
            print(what, file=sys.stderr)
        last = what

    return report
