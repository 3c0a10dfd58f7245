"""How verdicts are shown and what they do to the exit code."""

from __future__ import annotations

import dataclasses

import pytest

from lvlm_audit.pytest_plugin.status import EXIT_UNDECIDED
from tests.synthetic import rising, trace


def output(result) -> str:
    return "\n".join(result.outlines + result.errlines)


def test_a_warning_is_shown_as_one_and_exits_0(lab):
    lab.checks("check_a.py", "passes", "warns", "allowed")
    result = lab.run("-v")
    result.stdout.fnmatch_lines(
        [
            "check_a.py::passes PASSED*",
            "check_a.py::warns WARN*",
            "check_a.py::allowed INCONCLUSIVE*",
            "*1 passed, 1 warned, 1 inconclusive in *",
        ]
    )
    assert result.ret == pytest.ExitCode.OK


def test_short_signs(lab):
    lab.checks("check_a.py", "passes", "warns", "allowed", "nothing", "fails")
    lab.run().stdout.fnmatch_lines(["check_a.py .winF*"])


def test_an_error_severity_failure_exits_1_and_says_what_was_seen(lab):
    lab.checks("check_a.py", "passes", "fails")
    result = lab.run("-v")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "check_a.py::fails FAILED*",
            "fails: FAIL (rapid evolution)",
            "  The check called fails holds.",
            "  0.9 probability, mean over 8 images; at least 0.99 (probability) is required: *",
            "  bound: A test.",
            "  look at: 'photo0', 'photo1', 'photo2', 'photo3', 'photo4'",
        ]
    )
    assert "Traceback" not in output(result)


def test_undecided_at_severity_error_exits_6(lab):
    lab.checks("check_a.py", "passes", "undecided")
    result = lab.run()
    assert result.ret == EXIT_UNDECIDED
    assert "undecided: INCONCLUSIVE (rapid evolution)" in output(result)
    assert "images would decide it if the value stays" in output(result)


def test_one_that_does_not_apply_is_neither_green_nor_red(lab):
    lab.checks("check_a.py", "passes", "nothing")
    result = lab.run("-v")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["check_a.py::nothing NOT APPLICABLE*", "*1 not applicable*"])
    assert "failed" not in output(result).splitlines()[-1]


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "xdist"])
def test_all_not_applicable_exits_1(lab, workers):
    lab.checks("check_a.py", "nothing", "nothing_else")
    lab.pytester.makepyfile(test_mine="def test_one(): pass")
    result, audit = lab.audit(*workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert audit["verdict"] == "fail"
    assert "no deciding check is applicable" in audit["headline"]


def test_no_eligible_token_exits_1_and_writes_nothing(lab):
    from lvlm_audit.traces.trace import TokenClass

    lab.answer = lambda p: trace(rising(), name=p.id, classes=[TokenClass.SPECIAL] * 4)
    lab.checks("check_a.py", "passes")
    result = lab.run("--lvlm-json", "a.json", "--lvlm-report", "r.html")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "ERROR: TraceError: no eligible token in any answer" in output(result)
    assert {"a.json", "r.html"}.isdisjoint(lab.files())


def test_a_failing_test_beside_keeps_its_own_exit(lab):
    lab.checks("check_a.py", "passes")
    lab.pytester.makepyfile(test_mine="def test_one(): assert False")
    result, audit = lab.audit()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert audit["verdict"] == "pass"


def test_choosing_with_k_changes_no_finding(lab):
    lab.checks("check_a.py", "passes", "warns", "allowed")
    lab.checks("check_b.py", "passes_too", "fails")
    _, whole = lab.audit()
    by_name = {f["check"]: f for f in whole["findings"]}
    assert len(by_name) == 5
    for arguments, names in (
        (["-k", "passes"], {"passes", "passes_too"}),
        (["check_a.py::warns"], {"warns"}),
        (["check_b.py"], {"passes_too", "fails"}),
        (["--deselect", "check_b.py::fails"], set(by_name) - {"fails"}),
    ):
        _, part = lab.audit(*arguments)
        assert {f["check"] for f in part["findings"]} == names
        for finding in part["findings"]:
            assert finding == by_name[finding["check"]]
    assert by_name["passes"]["interval"]["adjusted"]


def test_k_across_folders_and_opt_in_files_changes_no_finding(lab):
    lab.checks("one/check_a.py", "passes")
    lab.checks("two/check_b.py", "fails")
    lab.checks("two/check_c.py", "warns", opt_in=True)
    asked = ["one", "two", "two/check_c.py"]
    _, whole = lab.audit(*asked)
    assert {f["check"] for f in whole["findings"]} == {"passes", "fails", "warns"}
    result, part = lab.audit(*asked, "-k", "passes")
    assert result.ret == 0
    assert part["findings"] == [f for f in whole["findings"] if f["check"] == "passes"]
    assert part["provenance"]["family"] == 3


def test_what_k_leaves_out_does_not_fail_the_document(lab):
    lab.checks("check_a.py", "passes", "fails")
    result, audit = lab.audit("-k", "passes")
    assert (result.ret, audit["verdict"]) == (0, "pass")


def test_the_opt_in_file_belongs_to_the_family_only_when_named(lab):
    lab.checks("check_a.py", "passes")
    lab.checks("check_b.py", "warns", opt_in=True)
    assert lab.audit()[1]["provenance"]["family"] == 1
    assert lab.audit("check_b.py")[1]["provenance"]["family"] == 2


def test_stopping_early_documents_what_was_run(lab):
    lab.checks("check_a.py", "fails", "passes")
    result, audit = lab.audit("-x")
    assert result.ret == 1
    assert [f["check"] for f in audit["findings"]] == ["fails"]


def test_junit_xml_takes_the_verdicts(lab):
    lab.checks("check_a.py", "passes", "warns", "fails")
    lab.run("--junitxml", "x.xml")
    text = (lab.path / "x.xml").read_text()
    assert 'name="lvlm_audit" value="warn:fail"' in text
    assert 'failures="1"' in text


def test_a_model_that_gets_worse_is_compared_with_its_baseline(lab):
    lab.checks("check_a.py", "passes", "warns")
    lab.audit()
    (lab.path / "audit.json").rename(lab.path / "before.json")
    lab.answer = lambda p: trace(rising(top=0.5), name=p.id, cluster=p.cluster)
    (lab.path / "model" / "model.safetensors").write_bytes(b"other weights")
    result, audit = lab.audit("--lvlm-baseline", "before.json", "--lvlm-fail-on", "absolute")
    assert result.ret == 0
    differences = {d["check"]: d for d in audit["comparison"]["differences"]}
    assert differences["warns"]["difference"] == pytest.approx(-0.4)
    assert differences["warns"]["n"] == 8


def test_the_summary_names_the_files_that_were_written(lab):
    lab.checks("check_a.py", "passes")
    result, _ = lab.audit("--lvlm-report", "r.html")
    text = output(result).replace("\n", "")
    assert str(lab.path / "audit.json") in text
    assert str(lab.path / "r.html") in text
    assert "passes" in (lab.path / "r.html").read_text()


def test_severity_and_stage_of_the_finding_reach_the_document(lab):
    lab.checks("check_a.py", "passes", "warns")
    _, audit = lab.audit()
    found = {f["check"]: (f["severity"], f["verdict"], f["source"]) for f in audit["findings"]}
    assert found == {
        "passes": ("error", "pass", "check_a.py"),
        "warns": ("warn", "fail", "check_a.py"),
    }
    assert audit["subject"]["is_demo"] is False
    assert "resolved" in {
        f.name for f in dataclasses.fields(__import__("lvlm_audit.document").document.Subject)
    }
