"""The JUnit file that continuous integration reads: never green where the run is not."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from lvlm_audit.traces.trace import TokenClass
from tests.synthetic import rising, trace


def junit(lab, *arguments: str) -> tuple[pytest.RunResult, ElementTree.Element]:
    result = lab.run("--junitxml", "x.xml", *arguments)
    suite = ElementTree.parse(lab.path / "x.xml").getroot().find("testsuite")
    assert suite is not None
    return result, suite


def counts(suite: ElementTree.Element) -> tuple[int, int, int]:
    return tuple(int(suite.attrib[n]) for n in ("tests", "errors", "failures"))


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "xdist"])
def test_an_audit_that_could_not_be_made_is_an_error_of_every_check(lab, workers):
    lab.checks("check_a.py", "passes", "warns")
    result, suite = junit(lab, "--lvlm-model", "no-such-model", *workers)
    assert result.ret != 0
    assert counts(suite) == (2, 2, 0)
    cases = {case.attrib["name"]: case for case in suite.iter("testcase")}
    assert set(cases) == {"passes", "warns"}
    for case in cases.values():
        assert "no model 'no-such-model'" in case.find("error").attrib["message"]


def test_what_breaks_while_recording(lab):
    from lvlm_audit.errors import RecordingError

    def fail(probe):
        raise RecordingError("out of memory \x1b[31m.")

    lab.answer = fail
    lab.checks("check_a.py", "passes")
    result, suite = junit(lab)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert counts(suite) == (1, 1, 0)
    assert "out of memory" in suite.find("testcase/error").attrib["message"]


def test_an_error_after_the_last_check(lab):
    lab.answer = lambda p: trace(rising(), name=p.id, classes=[TokenClass.SPECIAL] * 4)
    lab.checks("check_a.py", "passes")
    result, suite = junit(lab)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert counts(suite)[1:] == (1, 0)
    (error,) = suite.iter("error")
    assert "no eligible token in any answer" in error.attrib["message"]


def test_a_report_that_could_not_be_written(lab):
    import shutil

    (lab.path / "out").mkdir()
    answer = lab.answer

    def lose(probe):
        shutil.rmtree(lab.path / "out", ignore_errors=True)
        return answer(probe)

    lab.answer = lose
    lab.checks("check_a.py", "passes")
    result, suite = junit(lab, "--lvlm-report", "out/r.html")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    (error,) = suite.iter("error")
    assert "cannot write" in error.attrib["message"]


def test_a_run_where_nothing_could_be_judged(lab):
    lab.checks("check_a.py", "nothing")
    result, suite = junit(lab)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    (failure,) = suite.iter("failure")
    assert "Nothing could be judged" in failure.attrib["message"] + (failure.text or "")


def test_a_check_file_that_cannot_be_loaded(lab):
    lab.checks("check_a.py", "passes")
    (lab.path / "check_b.py").write_text("import lvlm_audit\n1 / 0\n")
    _, suite = junit(lab)
    assert counts(suite)[1] == 1
    _, suite = junit(lab, "check_a.py")
    (error,) = suite.iter("error")
    assert "check_b.py cannot be loaded" in error.attrib["message"]


def test_a_green_run_is_green(lab):
    lab.checks("check_a.py", "passes", "warns")
    result, suite = junit(lab)
    assert result.ret == 0
    assert counts(suite) == (2, 0, 0)


def test_expected_failures_and_skips_are_told_apart(lab):
    lab.checks("check_a.py", "passes", "fails", "fails_too")
    (lab.path / "conftest.py").write_text(
        "import pytest\ndef pytest_collection_modifyitems(items):\n"
        "    items[1].add_marker(pytest.mark.xfail(reason='known'))\n"
        "    items[2].add_marker(pytest.mark.skip(reason='slow'))\n"
    )
    result, suite = junit(lab)
    assert result.ret == 0
    assert counts(suite) == (3, 0, 0)
    kinds = {skip.attrib["type"]: skip.attrib["message"] for skip in suite.iter("skipped")}
    assert kinds == {"pytest.xfail": "known", "pytest.skip": "slow"}
