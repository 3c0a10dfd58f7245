"""What is collected: our check files once each, and nobody else's."""

from __future__ import annotations

import pytest

from tests.pytest_plugin.lab import Lab, check_text


def collected(lab: Lab, *arguments: str) -> list[str]:
    result = lab.run("--collect-only", "-q", *arguments)
    assert lab.recorded == []
    return [line for line in result.outlines if "::" in line]


def test_one_item_a_check_beside_ordinary_tests(lab):
    lab.checks("check_a.py", "passes", "warns")
    lab.pytester.makepyfile(test_mine="def test_one(): pass\ndef test_two(): pass")
    assert collected(lab) == [
        "check_a.py::passes",
        "check_a.py::warns",
        "test_mine.py::test_one",
        "test_mine.py::test_two",
    ]
    result = lab.run()
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*3 passed*1 warned*"])


@pytest.mark.parametrize(
    "arguments", [["check_a.py"], ["."], [], ["check_a.py::passes", "check_a.py::warns"]]
)
def test_each_check_once_however_it_is_named(lab, arguments):
    lab.checks("check_a.py", "passes", "warns")
    assert collected(lab, *arguments) == ["check_a.py::passes", "check_a.py::warns"]


def test_one_check_by_name(lab):
    lab.checks("check_a.py", "passes", "fails")
    result = lab.run("check_a.py::passes")
    result.assert_outcomes(passed=1)
    assert result.ret == 0


def test_a_check_that_does_not_exist(lab):
    lab.checks("check_a.py", "passes")
    result = lab.run("check_a.py::pases")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert lab.recorded == []


@pytest.mark.parametrize(
    "text", ["x = 1\n", "# import lvlm_audit\n", "import lvlm_auditor\n", "s = 'from lvlm_audit'\n"]
)
def test_a_file_of_that_name_that_does_not_import_us_is_left_alone(lab, text):
    (lab.path / "check_theirs.py").write_text(text + "raise RuntimeError('imported')\n")
    assert collected(lab) == []
    result = lab.run()
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "lvlm" not in "".join(result.outlines[-3:])


def test_one_that_is_named_is_pytests_own_module(lab):
    (lab.path / "check_theirs.py").write_text("def test_it(): pass\n")
    assert collected(lab, "check_theirs.py") == ["check_theirs.py::test_it"]


def test_theirs_beside_ours(lab):
    lab.checks("check_a.py", "passes")
    (lab.path / "check_theirs.py").write_text("raise RuntimeError('imported')\n")
    assert lab.run().ret == 0


def test_opt_in_only_when_named(lab):
    lab.checks("check_a.py", "passes")
    lab.checks("check_b.py", "warns", opt_in=True)
    assert collected(lab) == ["check_a.py::passes"]
    assert collected(lab, "check_b.py") == ["check_b.py::warns"]
    assert collected(lab, "check_b.py::warns") == ["check_b.py::warns"]
    assert collected(lab, ".", "check_b.py") == ["check_a.py::passes", "check_b.py::warns"]


def test_nothing_is_recorded_to_collect(lab):
    lab.checks("check_a.py", "passes")
    lab.run("--collect-only", "--lvlm-report", "r.html", "--lvlm-json", "a.json")
    assert lab.recorded == []
    assert not (lab.path / "r.html").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import lvlm_audit\n1 / 0\n", "check_a.py cannot be loaded: ZeroDivisionError"),
        ("import lvlm_audit\ndef (:\n", "check_a.py cannot be loaded: SyntaxError"),
        ("import lvlm_audit\n", "check_a.py declares no Check"),
        (check_text(["passes"]).replace("0.3", "30"), "a share of 30 can never be decided"),
    ],
)
def test_a_broken_check_file_is_a_collection_error_in_words(lab, text, message):
    (lab.path / "check_a.py").write_text(text)
    lab.checks("sub/check_b.py", "passes")
    result = lab.run("--lvlm-json", "a.json")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    output = "\n".join(result.outlines + result.errlines)
    assert message in output
    assert "Traceback" not in output
    assert "INTERNALERROR" not in output
    assert not (lab.path / "a.json").exists()
    assert lab.recorded == []


def test_two_checks_of_one_name_are_a_usage_error(lab):
    lab.checks("check_a.py", "passes")
    lab.checks("check_b.py", "passes")
    result = lab.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: CheckError: two checks are named 'passes'*"])
