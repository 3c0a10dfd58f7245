"""`lvlm-audit run`: pytest on the shipped checks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lvlm_audit.cli.options import Commands

if TYPE_CHECKING:
    import pytest


def declare(commands: Commands) -> None:
    """For the help; what stands behind `run` is parsed by pytest."""
    commands.add_parser(
        "run",
        help="run the shipped checks; takes pytest's options "
        "(lvlm-audit run --lvlm-model llava-1.5-7b --lvlm-report report.html)",
    )


class _Named:
    """A pytest plugin: the help and usage errors speak of our command, not of `pytest.main()`."""

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        parser.prog = "lvlm-audit run"


def under_pytest(arguments: Sequence[str]) -> int:
    """Run pytest as nobody's project; returns its exit code."""
    import pytest

    from lvlm_audit.spec.suite import shipped_folder

    # No configuration file of the folder that we happen to be called from takes part.
    folder = shipped_folder()
    own = ["--rootdir", str(folder), "-c", os.devnull, "-p", "no:cacheprovider"]
    # pytest cannot rewrite assertions of a package that is imported already; ours has none for it.
    own += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return int(pytest.main([str(folder), *own, *arguments], plugins=[_Named()]))
