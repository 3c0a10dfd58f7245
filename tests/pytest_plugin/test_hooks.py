"""Hooks for other plugins: each is called once, on the controller, with what its specification says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.pytest_plugin.lab import Lab

PAGE = Path(__file__).parents[2] / "docs" / "hooks.md"

TELLING = """
import json
from pathlib import Path

def tell(config, *what):
    with Path(config.rootpath, "told.txt").open("a") as file:
        file.write(json.dumps([hasattr(config, "workerinput"), *what]) + "\\n")

def pytest_lvlm_recorded(config, traces, provenance):
    tell(config, "recorded", [t.asked.id for t in traces], provenance["probe_count"])

def pytest_lvlm_audit_finished(config, audit):
    tell(config, "finished", str(audit.verdict), Path(config.rootpath, "audit.json").exists())
"""


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "xdist"])
def test_each_is_called_once_and_on_the_controller(lab: Lab, workers: list[str]) -> None:
    lab.checks("check_a.py", "passes", "fails")
    (lab.path / "conftest.py").write_text(TELLING)
    ids = ", ".join(f'"photo{i}"' for i in range(8))
    for _ in ("recorded", "out of the store"):
        _, audit = lab.audit(*workers)
        assert (lab.path / "told.txt").read_text().splitlines() == [
            f'[false, "recorded", [{ids}], 8]',
            f'[false, "finished", "{audit["verdict"]}", true]',
        ]
        (lab.path / "told.txt").unlink()
    assert len([need for need in lab.recorded if need.kind == "answers"]) == 1


def test_a_run_without_checks_calls_none(lab: Lab) -> None:
    (lab.path / "conftest.py").write_text(TELLING)
    lab.pytester.makepyfile(test_mine="def test_one(): pass")
    lab.run().assert_outcomes(passed=1)
    lab.checks("check_a.py", "passes")
    lab.run("--collect-only")
    assert "told.txt" not in lab.files()


def test_the_pages_example_works(lab: Lab) -> None:
    lab.checks("check_a.py", "passes", "fails")
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    (lab.path / "conftest.py").write_text(example)
    result = lab.run("-s")
    assert (lab.path / "verdict.txt").read_text() == "fail: fails\n"
    result.stdout.fnmatch_lines(["*8 answers, 32 tokens*"])


def test_a_hook_that_fails_before_the_checks_is_one_message(lab: Lab) -> None:
    lab.checks("check_a.py", "passes")
    (lab.path / "conftest.py").write_text("def pytest_lvlm_recorded():\n    1 / 0\n")
    result = lab.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line.startswith("ERROR")]
    assert "pytest_lvlm_recorded failed at " in line
    assert "conftest.py:2: ZeroDivisionError: division by zero" in line
    assert "Traceback" not in "\n".join(result.outlines + result.errlines)


def test_a_hook_that_fails_at_the_end_turns_a_green_run_red_and_costs_no_file(lab: Lab) -> None:
    lab.checks("check_a.py", "passes")
    (lab.path / "conftest.py").write_text(
        "def pytest_lvlm_audit_finished(audit):\n    raise KeyError(audit.headline[:4])\n"
    )
    result, audit = lab.audit()
    assert (result.ret, audit["verdict"]) == (pytest.ExitCode.TESTS_FAILED, "pass")
    text = result.stdout.str().replace("\n", "")
    assert "an implementation of pytest_lvlm_audit_finished failed at" in text
    assert "conftest.py:2: KeyError" in text
    assert "audit.json" in text
    assert "Traceback" not in text


def test_an_argument_that_no_hook_has_is_pytests_to_refuse(lab: Lab) -> None:
    lab.checks("check_a.py", "passes")
    (lab.path / "conftest.py").write_text("def pytest_lvlm_recorded(answers):\n    pass\n")
    result = lab.run()
    assert result.ret != 0
    assert "answers" in "\n".join(result.outlines + result.errlines)
