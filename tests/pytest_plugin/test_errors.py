"""Whatever a person can get wrong is one clear message, pytest's usage code, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import stat

import pytest

from lvlm_audit.demo.assemble import ADAPTER_FOLDER
from lvlm_audit.errors import RecordingError
from tests.pytest_plugin.lab import QUIET

TARGETS = ("--lvlm-report", "r.html", "--lvlm-json", "a.json")


def refused(lab, *arguments: str) -> str:
    """Run, expect a usage error that leaves everything as it was, and return its one message."""
    before = lab.files()
    result = lab.run(*arguments)
    output = "\n".join(result.outlines + result.errlines)
    assert result.ret == pytest.ExitCode.USAGE_ERROR, output
    assert "Traceback" not in output
    assert "INTERNALERROR" not in output
    errors = [line for line in result.errlines if line.strip()]
    assert len(errors) == 1, errors
    left = {f for f in lab.files() - before if f != "cache"}
    assert left == set()
    return errors[0]


def images(lab, text: str) -> str:
    (lab.path / "p.jsonl").write_text(text)
    return "p.jsonl"


def broken_jpeg(lab) -> str:
    (lab.path / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    return "photos"


@pytest.fixture
def project(lab):
    lab.checks("check_a.py", "passes")
    return lab


class TestModel:
    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("llava-1.5-7c", "no model 'llava-1.5-7c'*Did you mean llava-1.5-7b"),
            ("./nowhere", "there is no folder './nowhere'"),
            ("photos", "folder 'photos' is not a checkpoint: it has no config.json"),
            ("check_a.py", "'check_a.py' is a file. Give the checkpoint's folder"),
            ("", "the model's name is empty"),
        ],
    )
    def test_a_name_that_leads_nowhere(self, project, name, message):
        said = refused(project, *TARGETS, "--lvlm-model", name)
        assert said.startswith("ERROR: ModelNotFound: ")
        assert all(part in said for part in message.split("*"))
        assert project.recorded == []

    def test_without_a_model_the_missing_demo_says_how_to_get_it(self, project):
        result = project.pytester.runpytest_inprocess(*QUIET, *TARGETS)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        # Before the adapter is trained and committed, the message says that instead.
        remedy = (
            "run `lvlm-audit demo`" if any(ADAPTER_FOLDER.glob("*.safetensors")) else "reinstall"
        )
        result.stderr.fnmatch_lines([f"ERROR: DemoModelMissing: *{remedy}*--lvlm-model*"])
        assert not (project.path / "r.html").exists()

    def test_what_fails_while_recording(self, project):
        def fail(probe):
            raise RecordingError(
                f"probe {probe.id!r}, step 3: out of memory. Lower the batch size."
            )

        project.answer = fail
        said = refused(project, *TARGETS)
        assert "RecordingError: probe 'photo0', step 3: out of memory" in said

    def test_a_failed_recording_is_not_taken_for_one_later(self, project):
        answer = project.answer

        def fail(probe):
            raise RecordingError("out of memory.")

        project.answer = fail
        refused(project)
        project.answer = answer
        assert project.run().ret == 0
        assert [n.kind for n in project.recorded] == ["answers", "answers", "answer pairs"]


class TestProbes:
    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda lab: "nowhere", "there is no such file or folder"),
            (lambda lab: images(lab, ""), "holds no probes: the file is empty"),
            (lambda lab: images(lab, "{"), "line 1, column 2: not valid JSON"),
            (
                lambda lab: images(lab, '{"image": "gone.png", "prompt": "What?"}'),
                "line 1: there is no image 'gone.png'",
            ),
            (broken_jpeg, "'broken.jpg' cannot be decoded"),
            (lambda lab: "model", "no file in it is named like an image"),
        ],
    )
    def test_probes_that_cannot_be_asked(self, project, make, message):
        name = make(project)
        said = refused(project, *TARGETS, "--lvlm-probes", name)
        assert said.startswith("ERROR: ProbeError: ")
        assert message in said
        assert project.recorded == []


class TestOptions:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--lvlm-report", "missing/r.html"], "UsageError: cannot write *there is no folder"),
            (["--lvlm-json", "missing/a.json"], "UsageError: cannot write *there is no folder"),
            (["--lvlm-report", "photos"], "UsageError: cannot write *it is a folder"),
            (["--lvlm-report", "same", "--lvlm-json", "same"], "UsageError: *same file"),
            (
                ["--lvlm-baseline", "nowhere.json"],
                "nowhere.json' is not a file. Write one with --lvlm-json first.",
            ),
            (["--lvlm-baseline", "model/config.json"], "DocumentError: *is not an audit document"),
            (["--lvlm-baseline", "photos/photo0.png"], "DocumentError: cannot read"),
            (["--lvlm-device", "quantum"], "UsageError: --lvlm-device 'quantum' is not a device"),
            (["--lvlm-max-new-tokens", "0"], "UsageError: --lvlm-max-new-tokens 0 records nothing"),
            (["--lvlm-batch-size", "0"], "UsageError: --lvlm-batch-size 0 is empty"),
            (["--lvlm-seed", "-1"], "UsageError: --lvlm-seed -1"),
            (
                ["--lvlm-image-folder", "photos"],
                "ProbeError: *is a folder of images*leave that out",
            ),
        ],
    )
    def test_options_that_cannot_be_used(self, project, arguments, message):
        said = refused(project, *arguments)
        assert all(part in said for part in message.split("*")), said
        assert project.recorded == []

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [(["--lvlm-lens", "tuned"], "--lvlm-lens"), (["--lvlm-seed", "x"], "--lvlm-seed")],
    )
    def test_what_the_option_parser_refuses(self, project, arguments, said):
        result = project.run(*arguments)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert said in "\n".join(result.errlines)


def test_a_report_that_cannot_be_written_at_the_end_exits_1(project):
    """The folder was there when it was checked, and is gone after hours of recording."""
    (project.path / "out").mkdir()
    answer = project.answer

    def lose(probe):
        shutil.rmtree(project.path / "out", ignore_errors=True)
        return answer(probe)

    project.answer = lose
    result = project.run("--lvlm-report", "out/r.html")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    output = "\n".join(result.outlines + result.errlines)
    assert "ERROR: UsageError: cannot write" in output
    assert "Traceback" not in output


def test_documents_go_through_links_and_into_what_is_no_file(project):
    (project.path / "latest.json").symlink_to("audit-7.json")
    result = project.run("--lvlm-report", "/dev/null", "--lvlm-json", "latest.json")
    assert result.ret == 0
    assert stat.S_ISCHR(os.lstat("/dev/null").st_mode)
    assert (project.path / "latest.json").is_symlink()
    assert json.loads((project.path / "audit-7.json").read_text())["verdict"] == "pass"


def test_a_document_on_standard_output_is_not_captured(project):
    """By a link of our own; as root a mistake would replace the machine's."""
    (project.path / "stdout").symlink_to("/proc/self/fd/1")
    project.run()  # recorded in this process: the next one finds it in the store
    done = project.pytester.runpytest_subprocess(
        *project.arguments("--lvlm-json", "stdout", "-p", "no:randomly")
    )
    assert done.ret == 0
    text = done.stdout.str()
    assert json.JSONDecoder().raw_decode(text[text.index('{\n "verdict"') :])[0]["findings"]
    assert (project.path / "stdout").is_symlink()


def test_an_older_report_survives_a_refused_run(project):
    (project.path / "r.html").write_text("old")
    refused(project, *TARGETS, "--lvlm-model", "no-such-model")
    assert (project.path / "r.html").read_text() == "old"


def test_a_defect_of_ours_is_not_dressed_up(project):
    """An error that nobody can mend by an option keeps its traceback."""

    def defect(probe):
        raise ZeroDivisionError("ours")

    project.answer = defect
    result = project.run("--lvlm-json", "a.json")
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    assert "ZeroDivisionError: ours" in "\n".join(result.outlines + result.errlines)
    assert not (project.path / "a.json").exists()
