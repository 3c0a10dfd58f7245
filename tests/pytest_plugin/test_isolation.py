"""Other projects' pytest runs are not disturbed."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points

from tests.pytest_plugin.lab import QUIET

HEAVY = ("torch", "transformers", "numpy", "scipy", "PIL", "rich", "jinja2", "safetensors")

CONFTEST = """
import sys
import pytest

@pytest.hookimpl(trylast=True)
def pytest_sessionfinish():
    with open("modules.txt", "w") as file:
        file.write("\\n".join(sys.modules))
"""


def modules_after(folder, *arguments: str) -> tuple[int, set[str]]:
    """Exit code and loaded modules of a pytest run in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "lvlm_audit.pytest_plugin", *arguments],
        cwd=folder,
        # Other installed plugins may load what they like.
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "lvlm" not in done.stdout
    return done.returncode, set((folder / "modules.txt").read_text().split())


def test_a_plain_run_loads_nothing_of_ours_but_the_entry_point(pytester):
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_theirs="def test_one(): pass", check_theirs="raise RuntimeError")
    code, modules = modules_after(pytester.path)
    assert code == 0
    assert modules.isdisjoint(HEAVY)
    assert {m for m in modules if m.startswith("lvlm_audit")} == {
        "lvlm_audit",
        "lvlm_audit.pytest_plugin",
        "lvlm_audit.pytest_plugin.hookspecs",
        "lvlm_audit.settings",
        "lvlm_audit.settings.declared",
        "lvlm_audit.spec",
        "lvlm_audit.spec.files",
    }


def test_the_entry_point_costs_a_few_milliseconds():
    """Beyond what pytest itself imports; processor time, the least of 25, as the machine may be busy."""
    code = (
        "import sys, time, pytest\n"
        "def once():\n"
        "    for name in [m for m in sys.modules if m.startswith('lvlm_audit')]:\n"
        "        del sys.modules[name]\n"
        "    start = time.process_time()\n"
        "    import lvlm_audit.pytest_plugin, lvlm_audit.pytest_plugin.hookspecs\n"
        "    return time.process_time() - start\n"
        "print(min(once() for _ in range(25)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.005


def test_it_is_installed_as_a_plugin():
    """The entry point that `pytest --lvlm-model` needs."""
    (ours,) = [e for e in entry_points(group="pytest11") if e.name == "lvlm_audit"]
    assert ours.value == "lvlm_audit.pytest_plugin"


def test_our_options_do_not_shadow_anybody_elses(pytester):
    result = pytester.runpytest_inprocess(*QUIET, "--help")
    ours = [line for line in result.outlines if "--lvlm" in line]
    assert len(ours) >= 12
    assert all(line.strip().startswith("--lvlm-") for line in ours)
