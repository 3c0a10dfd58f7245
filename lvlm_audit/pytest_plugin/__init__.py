"""The pytest plugin's entry point: options and the decision what is ours.

pytest imports this module in every run on the machine, so it imports nothing but pytest and the
standard library; the rest of the package is loaded when a check file is really collected.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lvlm_audit.settings.declared import AUDIT, FILES, GATE, MODE, add_options
from lvlm_audit.spec.files import is_check_file

if TYPE_CHECKING:
    from lvlm_audit.pytest_plugin.collection import CheckFileCollector


OPTIONS = {**AUDIT, "mode": MODE, **GATE, **FILES}
"""Every option, by the name of its setting."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lvlm", "lvlm_audit: audits of vision-language models")
    add_options(group.addoption, OPTIONS, prefix="--lvlm-")


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from lvlm_audit.pytest_plugin import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> CheckFileCollector | None:
    if not is_check_file(file_path):
        return None
    from lvlm_audit.pytest_plugin.collection import CheckFileCollector
    from lvlm_audit.pytest_plugin.session import ensure_session

    ensure_session(parent.config)
    return CheckFileCollector.from_parent(parent, path=file_path)


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Collector | None:
    # pytest's own Python collector takes every file that is named on the command line; it must not
    # collect a check file a second time.
    if not is_check_file(module_path):
        return None
    from lvlm_audit.pytest_plugin.collection import Nothing

    return Nothing.from_parent(parent, path=module_path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: Sequence[str]) -> None:
    # The xdist controller collects nothing, so `ensure_session` has not been called there. This is
    # called before any check is handed out: what has to be recorded is recorded here.
    if not any(i.rpartition("/")[2].startswith("check_") for i in ids):
        return
    from lvlm_audit.pytest_plugin.session import ensure_session
    from lvlm_audit.pytest_plugin.xdist import files_of_ids

    files = files_of_ids(node.config, ids)
    if files:
        theirs = [i for i in ids if node.config.rootpath / i.split("::")[0] in files]
        ensure_session(node.config).before_tests(files, theirs)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    # Here and not in the session, which a run without any check file does not have.
    asked = [n for n in map(config.getoption, ("--lvlm-report", "--lvlm-json")) if n]
    asked += config.getoption("--lvlm-write") or []
    done = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
    if not asked or exitstatus not in done or config.option.collectonly:
        return
    from lvlm_audit.pytest_plugin.session import SESSION
    from lvlm_audit.report.words import visible

    session = config.stash.get(SESSION, None)
    if session is None or not (session.audits or session.problem):
        terminalreporter.write_line(
            f"lvlm_audit: no check was run, so nothing was audited; not written: "
            f"{', '.join(map(visible, asked))}",
            yellow=True,
        )
