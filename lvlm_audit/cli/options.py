"""The options that several commands share, and the settings that they make."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lvlm_audit.progress import OnProgress, Progress
from lvlm_audit.settings.audit import Settings, settings_of
from lvlm_audit.settings.declared import AUDIT, FILES, add_options
from lvlm_audit.settings.files import Files

if TYPE_CHECKING:
    from lvlm_audit.document.saved import Saved
    from lvlm_audit.writers.outputs import Output

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


def files(options: argparse.Namespace) -> Files:
    """Where results go.

    Raises:
        UsageError: a value that cannot be used, or two results in one file.
    """
    given = {name: getattr(options, name, None) for name in FILES}
    return Files(**{name: value for name, value in given.items() if value is not None})


def write(document: Saved, chosen: Iterable[Output]) -> None:
    """Write a document's files, and name each.

    Raises:
        LvlmAuditError: some cannot be written; the others are.
    """
    from lvlm_audit.writers.outputs import write_all

    for path in write_all(document, chosen):
        say_written(path)


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
