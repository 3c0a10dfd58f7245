"""`lvlm-audit power`: which faults the suite would catch."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lvlm_audit.cli.options import (
    ASKING,
    OPENING,
    Commands,
    add_settings,
    progress,
    say_written,
    settings,
)
from lvlm_audit.errors import UsageError

if TYPE_CHECKING:
    from lvlm_audit.faults.fault import Fault
    from lvlm_audit.power.sets import ProbeSet
    from lvlm_audit.settings.audit import Settings


def declare(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "power",
        help="damage a model on purpose and see which faults the checks show against the undamaged one",
    )
    parser.add_argument(
        "checks", nargs="?", type=Path, help="folder of check_*.py; default: the shipped"
    )
    add_settings(parser, "model", *OPENING, *ASKING, "lens")
    parser.add_argument("--sets", default="3", help="fresh probe sets of each size (default: 3)")
    parser.add_argument("--images", default="24,48", help="their sizes (default: 24,48)")
    parser.add_argument("--only", default="", help="faults, by name, with commas between them")
    parser.add_argument("--json", type=Path, help="write every cell of the table there")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Prints a table."""
    import json

    from rich.console import Console

    from lvlm_audit.auditing.subject import find, is_demo_folder, is_demo_name
    from lvlm_audit.engine.local import opened
    from lvlm_audit.models.identity import fingerprint
    from lvlm_audit.power.running import ask, judge
    from lvlm_audit.report.terminal.power import show
    from lvlm_audit.spec.suite import load_family, suite
    from lvlm_audit.writing import check_writable, write_whole

    if options.json is not None:
        check_writable(options.json)
    read = settings(options)
    sizes = [_number("--images", text, 2) for text in str(options.images).split(",")]
    count = _number("--sets", str(options.sets), 1)
    checkpoint = find(read.model, revision=read.revision, adapter=read.adapter)
    is_demo = is_demo_name(read.model) or is_demo_folder(checkpoint.folder)
    family = suite() if options.checks is None else load_family([], [options.checks])
    asked = ask(
        family,
        read,
        _sets(read, sizes, count, is_demo),
        _chosen(options.only, is_demo),
        open_model=lambda: opened(read, checkpoint),
        model_key=fingerprint(checkpoint),
        is_demo=is_demo,
        on_progress=progress(),
    )
    found = judge(asked, family, read)
    show(found, Console())
    if options.json is not None:
        cells = [one.to_plain() for one in found.cells]
        text = json.dumps({"model": found.model, "checks": list(found.checks), "cells": cells})
        write_whole(options.json, text + "\n")
        say_written(options.json)
    return 0


def _chosen(only: str, is_demo: bool) -> list[Fault]:
    from lvlm_audit.faults.catalogue import FAULTS

    names = [name.strip() for name in only.split(",") if name.strip()]
    wanted = [FAULTS.get(name) for name in names] or list(FAULTS)
    # Of those that nobody named, the ones that this model cannot have are left out without a word of each.
    return wanted if names else [fault for fault in wanted if is_demo or not fault.demo_only]


def _sets(read: Settings, sizes: Sequence[int], count: int, is_demo: bool) -> list[ProbeSet]:
    from lvlm_audit.auditing.subject import choose_probes
    from lvlm_audit.power.sets import drawn_sets, parts

    if is_demo and read.probes is None:
        return drawn_sets(sizes, count)
    return parts(choose_probes(read, is_demo), sizes, count, seed=read.seed)


def _number(option: str, text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise UsageError(f"{option} {text!r}: give whole numbers from {least} on.")
    return value
