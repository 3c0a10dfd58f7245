"""The options that several commands share, and the settings that they make."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lvlm_audit.progress import OnProgress, Progress
from lvlm_audit.settings.audit import Settings, settings_of
from lvlm_audit.settings.declared import AUDIT, add_options

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Commands = Any

OPENING = ("adapter", "revision", "device", "dtype", "trust_remote_code")
"""Which model, and how it is opened."""
ASKING = ("probes", "probe_format", "image_folder", "max_new_tokens", "batch_size", "seed")
"""What is asked, and how much is answered."""


def add_model(parser: argparse.ArgumentParser) -> None:
    """Which model, and how it is opened; the names are those of pytest's options, without --lvlm-."""
    parser.add_argument("model", nargs="?", help=AUDIT["model"].help)
    add_settings(parser, *OPENING)


def add_settings(parser: argparse.ArgumentParser, *names: str) -> None:
    """Options of these settings."""
    add_options(parser.add_argument, AUDIT, only=names)


def settings(options: argparse.Namespace) -> Settings:
    """The settings that a command line gives.

    Raises:
        UsageError: a value that cannot be used.
    """
    given = vars(options)
    return settings_of({name: given[name] for name in AUDIT if name in given})


def say_written(path: Path, words: str = "written ") -> None:
    """Name a file that was written; not in the middle of what was written to standard output."""
    from lvlm_audit.writing import is_stream

    print(f"{words}{path}", file=sys.stderr if is_stream(path) else sys.stdout)


def progress() -> OnProgress:
    """One line on standard error for each thing that is done."""
    last = ""

    def report(event: Progress) -> None:
        nonlocal last
        if event.what != last:
            print(event.what, file=sys.stderr)
        last = event.what

    return report
