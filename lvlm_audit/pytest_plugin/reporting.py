"""Telling whoever records results (JUnit XML and the like) of what failed without a test that failed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import pytest

DOCUMENT = "lvlm_audit::document"
"""Stands for the audit itself, where all checks were run and something went wrong afterwards."""


def report_failed(
    config: pytest.Config, nodes: Iterable[str], said: str, when: Literal["setup", "call"]
) -> None:
    """Report each node as an error ("setup") or a failure ("call").

    The terminal is left out: there it is said once, and not once a node. So is the session, which
    counts tests.
    """
    names = ("terminalreporter", "session", "lvlm_audit_session")
    aside = [p for p in map(config.pluginmanager.get_plugin, names) if p is not None]
    hook = config.pluginmanager.subset_hook_caller("pytest_runtest_logreport", aside)
    for node in nodes:
        file, _, name = node.partition("::")
        hook(
            report=pytest.TestReport(
                nodeid=node,
                location=(file, None, name),
                keywords={},
                outcome="failed",
                longrepr=said,
                when=when,
            )
        )
