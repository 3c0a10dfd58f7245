"""pytest's own means on checks: marks, skipping a file, deselecting; and what becomes of the exit code."""

from __future__ import annotations

import json

import pytest

from lvlm_audit.pytest_plugin.status import EXIT_UNDECIDED
from tests.pytest_plugin.lab import check_text
from tests.synthetic import rising, trace


def output(result) -> str:
    return "\n".join(result.outlines + result.errlines)


def marked(lab, marks: dict[str, str], *checks: str, end: str = "") -> None:
    """A check file whose checks are marked as `name = mark(Check(...))`."""
    text = "import pytest\n"
    for name in checks:
        one = check_text([name])
        if name in marks:
            head, _, body = one.partition(f"\n{name} = Check(")
            one = f"{head}\n{name} = {marks[name]}(Check({body.rstrip()})\n"
        text += one
    (lab.path / "check_a.py").write_text(text + end)


def by_conftest(lab, **marks: str) -> None:
    lines = "".join(
        f"        if item.name == {name!r}:\n            item.add_marker({mark})\n"
        for name, mark in marks.items()
    )
    (lab.path / "conftest.py").write_text(
        f"import pytest\ndef pytest_collection_modifyitems(items):\n    for item in items:\n{lines}"
    )


SKIP = "pytest.mark.skip(reason='slow today')"
XFAIL = "pytest.mark.xfail(reason='known since May')"
STRICT = "pytest.mark.xfail(reason='known since May', strict=True)"
WAYS = ["conftest", "around the check"]


def mark(lab, way: str, checks: tuple[str, ...], **marks: str) -> None:
    if way == "conftest":
        lab.checks("check_a.py", *checks)
        by_conftest(lab, **marks)
    else:
        marked(lab, marks, *checks)


@pytest.mark.parametrize("way", WAYS)
class TestSkip:
    def test_a_skipped_check_says_where_it_is_declared(self, lab, way):
        mark(lab, way, ("passes", "fails"), fails=SKIP)
        lab.pytester.makeini("[pytest]\njunit_family = xunit1\n")
        result, audit = lab.audit("-rs", "--junitxml", "x.xml")
        assert result.ret == pytest.ExitCode.OK
        result.assert_outcomes(passed=1, skipped=1)
        text = (lab.path / "check_a.py").read_text().splitlines()
        line = next(i for i, said in enumerate(text) if said.startswith("fails = "))
        assert f'name="fails" file="check_a.py" line="{line}"' in (lab.path / "x.xml").read_text()
        result.stdout.fnmatch_lines(["SKIPPED [[]1[]] check_a.py*: slow today"])
        assert [f["check"] for f in audit["findings"]] == ["passes"]

    @pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "xdist"])
    def test_a_condition_decides(self, lab, way, workers):
        never = "pytest.mark.skipif(1 > 2, reason='no')"
        always = "pytest.mark.skipif('sys.maxsize > 2', reason='yes')"
        mark(lab, way, ("passes", "fails"), passes=never, fails=always)
        result = lab.run(*workers)
        result.assert_outcomes(passed=1, skipped=1)
        assert result.ret == pytest.ExitCode.OK

    def test_where_all_are_skipped_nothing_is_recorded_and_that_is_said(self, lab, way):
        mark(lab, way, ("fails",), fails=SKIP)
        result = lab.run("--lvlm-json", "a.json")
        assert result.ret == pytest.ExitCode.OK
        assert lab.recorded == []
        assert not (lab.path / "a.json").exists()
        result.stdout.fnmatch_lines(["lvlm_audit: no check was run*not written: a.json"])


@pytest.mark.parametrize("way", WAYS)
class TestExpectedFailure:
    @pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "xdist"])
    def test_it_does_not_fail_the_run(self, lab, way, workers):
        mark(lab, way, ("passes", "fails"), fails=XFAIL)
        result, audit = lab.audit("--lvlm-report", "r.html", *workers)
        result.assert_outcomes(passed=1, xfailed=1)
        assert result.ret == pytest.ExitCode.OK, output(result)
        assert audit["verdict"] == "pass"
        assert audit["headline"] == (
            "1 of 2 deciding checks passed, none failed unexpectedly; 1 failed as expected: fails."
        )
        found = {f["check"]: f for f in audit["findings"]}
        assert found["fails"]["verdict"] == "fail"
        assert found["fails"]["expectation"] == "failed as expected"
        assert found["fails"]["expected_because"] == "known since May"
        assert found["passes"]["expectation"] is None
        page = (lab.path / "r.html").read_text()
        assert "failed as expected" in page
        assert "known since May" in page

    def test_another_failure_still_fails_it(self, lab, way):
        mark(lab, way, ("fails", "fails_too"), fails=XFAIL)
        result, audit = lab.audit()
        result.assert_outcomes(failed=1, xfailed=1)
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        assert audit["headline"].startswith("1 of 2 deciding checks did not pass: fails_too (")

    @pytest.mark.parametrize("kind", ["warns", "undecided", "allowed", "nothing"])
    @pytest.mark.parametrize("how", [XFAIL, STRICT])
    def test_what_warns_or_stays_open_is_no_unexpected_pass(self, lab, way, kind, how):
        mark(lab, way, ("passes", kind), **{kind: how})
        result = lab.run()
        result.assert_outcomes(passed=1, xfailed=1)
        assert result.ret == pytest.ExitCode.OK, output(result)

    def test_an_unexpected_pass_is_said(self, lab, way):
        mark(lab, way, ("passes", "passes_too"), passes=XFAIL)
        result, audit = lab.audit()
        result.assert_outcomes(passed=1, xpassed=1)
        assert result.ret == pytest.ExitCode.OK
        assert audit["headline"].endswith("; 1 passed unexpectedly: passes.")

    @pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "xdist"])
    def test_a_strict_one_fails_the_run(self, lab, way, workers):
        mark(lab, way, ("passes", "passes_too"), passes=STRICT)
        result, audit = lab.audit(*workers)
        result.assert_outcomes(passed=1, failed=1)
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        assert audit["verdict"] == "fail"
        assert "passes (rapid evolution, passed, but had to fail)" in audit["headline"]

    def test_a_condition_that_does_not_hold_expects_nothing(self, lab, way):
        mark(lab, way, ("passes", "warns"), warns="pytest.mark.xfail(False, reason='no')")
        result, audit = lab.audit()
        assert result.ret == pytest.ExitCode.OK
        assert audit["headline"].endswith("; 1 warned: warns.")

    def test_runxfail_turns_expectations_off(self, lab, way):
        mark(lab, way, ("passes", "fails"), fails=XFAIL)
        result, audit = lab.audit("--runxfail")
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        assert audit["verdict"] == "fail"

    def test_one_that_is_not_to_be_run(self, lab, way):
        mark(lab, way, ("passes", "fails"), fails="pytest.mark.xfail(run=False, reason='hangs')")
        result, audit = lab.audit()
        result.assert_outcomes(passed=1, xfailed=1)
        assert result.ret == pytest.ExitCode.OK
        assert [f["check"] for f in audit["findings"]] == ["passes"]


class TestWholeFile:
    @pytest.mark.parametrize(
        ("head", "kind"),
        [
            ("pytestmark = pytest.mark.skip(reason='today')", "skipped"),
            ("pytestmark = [pytest.mark.skipif(True, reason='today')]", "skipped"),
            ("pytestmark = pytest.mark.xfail(reason='today')", "xfailed"),
        ],
    )
    def test_pytestmark(self, lab, head, kind):
        marked(lab, {}, "fails", "fails_too", end=head)
        lab.checks("check_b.py", "passes")
        result = lab.run()
        result.assert_outcomes(**{"passed": 1, kind: 2})
        assert result.ret == pytest.ExitCode.OK, output(result)

    @pytest.mark.parametrize(
        "line",
        [
            "pytest.skip('not here', allow_module_level=True)",
            "pytest.importorskip('no_such_module_of_anybody')",
            "import unittest; raise unittest.SkipTest('not here')",
        ],
    )
    @pytest.mark.parametrize("named", [[], ["check_b.py"]])
    def test_a_file_that_skips_itself(self, lab, line, named):
        (lab.path / "check_a.py").write_text(
            "import pytest\n" + check_text(["fails"]).replace("fails = ", f"{line}\nfails = ")
        )
        lab.checks("check_b.py", "passes")
        result, audit = lab.audit(*named)
        result.assert_outcomes(passed=1, skipped=0 if named else 1)
        assert result.ret == pytest.ExitCode.OK, output(result)
        assert [f["check"] for f in audit["findings"]] == ["passes"]

    def test_skip_without_allow_module_level_is_the_error_that_pytest_makes_it(self, lab):
        lab.checks("check_a.py", "fails")
        path = lab.path / "check_a.py"
        path.write_text("import pytest\npytest.skip('oh')\n" + path.read_text())
        result = lab.run()
        assert result.ret == pytest.ExitCode.INTERRUPTED
        assert "INTERNALERROR" not in output(result)
        assert "allow_module_level" in output(result)

    def test_failing_at_the_top_is_one_message(self, lab):
        lab.checks("check_a.py", "passes")
        (lab.path / "check_b.py").write_text("import lvlm_audit, pytest\npytest.fail('broken')\n")
        result = lab.run("check_a.py")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert "check_b.py cannot be loaded: Failed: broken" in output(result)
        assert "Traceback" not in output(result)


@pytest.mark.parametrize("name", ["parametrize('x', [1, 2])", "usefixtures('tmp_path')"])
def test_marks_that_a_check_cannot_follow_are_refused(lab, name):
    marked(lab, {"passes": f"pytest.mark.{name}"}, "passes", "fails")
    result = lab.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "Declare one Check for each case" in output(result)
    assert lab.recorded == []


def test_several_marks_and_a_mark_of_ones_own(lab):
    both = f"(lambda check: pytest.mark.nightly({XFAIL}(check)))"
    marked(lab, {"fails": both, "passes": "pytest.mark.nightly"}, "passes", "fails", "fails_too")
    lab.pytester.makeini("[pytest]\nmarkers = nightly: only at night\n")
    result, audit = lab.audit("-m", "nightly")
    result.assert_outcomes(passed=1, xfailed=1, deselected=1)
    assert result.ret == pytest.ExitCode.OK, output(result)
    assert {f["check"] for f in audit["findings"]} == {"passes", "fails"}


class TestWhatIsRun:
    def test_a_warning_check_alone_has_a_headline_of_its_own(self, lab):
        lab.checks("check_a.py", "passes", "warns")
        result, audit = lab.audit("check_a.py::warns")
        assert result.ret == pytest.ExitCode.OK
        assert audit["headline"] == (
            "No deciding check was run: 0 of 1 check of severity warn passed; 1 warned: warns; 0 of 1 "
            "deciding check was run, left out: passes."
        )
        assert "pass  " not in output(result)
        assert "✓" not in output(result).split("lvlm_audit ==")[-1]

    def test_undecided_alone_is_not_called_a_failure(self, lab):
        lab.checks("check_a.py", "passes", "undecided")
        result, audit = lab.audit("--lvlm-report", "r.html")
        assert result.ret == EXIT_UNDECIDED
        assert audit["verdict"] == "fail"
        said = output(result).split("lvlm_audit ==")[-1]
        assert "? inconclusive  None of 2 deciding checks failed, but 1 stayed undecided" in said
        assert "✗" not in said
        assert "<title>inconclusive" in (lab.path / "r.html").read_text()

    def test_a_failure_beside_what_is_undecided_is_one(self, lab):
        lab.checks("check_a.py", "undecided", "fails")
        assert lab.audit()[1]["verdict"] == "fail"

    @pytest.mark.parametrize("checks", [["passes"], []])
    def test_a_document_that_nobody_makes_is_said(self, lab, checks):
        if checks:
            lab.checks("check_a.py", *checks)
        lab.pytester.makepyfile(test_mine="def test_one(): pass")
        result = lab.run("-k", "test_one", "--lvlm-json", "a.json", "--lvlm-report", "r.html")
        assert result.ret == pytest.ExitCode.OK
        result.stdout.fnmatch_lines(["lvlm_audit: no check was run*not written: r.html, a.json"])


def test_deselecting_leaves_the_marks_of_the_others(lab):
    marked(lab, {"fails": XFAIL, "fails_too": SKIP}, "passes", "fails", "fails_too")
    result = lab.run("--deselect", "check_a.py::fails_too", "--lvlm-json", "a.json")
    result.assert_outcomes(passed=1, xfailed=1, deselected=1)
    found = json.loads((lab.path / "a.json").read_text())["findings"]
    assert [f["check"] for f in found] == ["passes", "fails"]


def test_the_answers_are_not_looked_at_for_an_expectation(lab):
    """A model that gets better turns the expectation into an unexpected pass."""
    marked(lab, {"fails": STRICT}, "passes", "fails")
    lab.answer = lambda p: trace(rising(top=0.999), name=p.id, cluster=p.cluster)
    result = lab.run()
    result.assert_outcomes(passed=1, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
