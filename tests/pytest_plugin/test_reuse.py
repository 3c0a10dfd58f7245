"""What is recorded, when it is recorded again, and who records under xdist."""

from __future__ import annotations

import dataclasses
import os

import pytest

from tests.pytest_plugin.lab import STATES, pictures

EVERY_RUN = ["answers", "answer pairs"]
"""Kinds of recording that stages, the grounding curve and the report need."""


@pytest.fixture
def recorded(lab):
    """A project that was audited once."""
    lab.checks("check_a.py", "passes", "warns")
    _, audit = lab.audit()
    assert [n.kind for n in lab.recorded] == EVERY_RUN
    assert audit["provenance"]["traces_reused"] is False
    assert [n.kind for n in lab.states] == list(STATES)
    lab.recorded.clear()
    lab.states.clear()
    return lab


def test_a_second_run_records_nothing(recorded):
    result, audit = recorded.audit()
    assert result.ret == 0
    assert recorded.recorded == recorded.states == []
    assert audit["provenance"]["traces_reused"] is True


def test_nor_does_a_run_that_only_judges_otherwise(recorded):
    recorded.checks("check_a.py", "passes", "allowed")
    recorded.run("--lvlm-seed", "7", "-k", "passes")
    assert recorded.recorded == []


@pytest.mark.parametrize(
    "change",
    [
        lambda p: (p / "model" / "model.safetensors").write_bytes(b"weightz"),
        lambda p: (p / "model" / "config.json").write_text("{} "),
        lambda p: (p / "model" / "chat_template.jinja").write_text("{{ x }}"),
        lambda p: (p / "photos" / "photo0.png").write_bytes((p / "photos/photo1.png").read_bytes()),
        lambda p: (p / "photos" / "photo0.png").rename(p / "photos" / "photo9.png"),
        lambda p: (p / "photos" / "photo7.png").unlink(),
    ],
    ids=["weights", "config", "template", "image", "id", "fewer"],
)
def test_what_was_changed_is_recorded_again(recorded, change):
    change(recorded.path)
    _, audit = recorded.audit()
    assert [n.kind for n in recorded.recorded] == EVERY_RUN
    assert audit["provenance"]["traces_reused"] is False


def test_weights_of_the_same_size_and_time_are_told_apart_by_their_file(recorded):
    path = recorded.path / "model" / "model.safetensors"
    before = path.stat()
    new = path.with_name("new")
    new.write_bytes(b"weightz")
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(new, path)
    recorded.run()
    assert recorded.recorded != []


def test_weights_that_were_edited_in_place_are_told_apart_by_their_content(recorded):
    path = recorded.path / "model" / "model.safetensors"
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"weightz")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    _, audit = recorded.audit()
    assert recorded.recorded != []
    assert audit["provenance"]["traces_reused"] is False


@pytest.mark.parametrize(
    "arguments",
    [
        ["--lvlm-max-new-tokens", "7"],
        ["--lvlm-dtype", "bfloat16"],
        ["--lvlm-device", "cpu"],
        ["--lvlm-batch-size", "3"],
        ["--lvlm-lens", "raw"],
        ["--lvlm-trust-remote-code"],
        ["--lvlm-control", "text-only"],
        ["--lvlm-control", "blank-image"],
        ["--lvlm-control", "swapped-image"],
    ],
)
def test_another_setting_is_recorded_for_itself(recorded, arguments):
    lens = "raw" if "raw" in arguments else "normed"
    plain = recorded.answer
    recorded.answer = lambda p: dataclasses.replace(plain(p), lens=lens)
    recorded.run(*arguments)
    assert [n.kind for n in recorded.recorded] == EVERY_RUN
    recorded.recorded.clear()
    recorded.run(*arguments)
    recorded.run()
    assert recorded.recorded == []


def test_states_are_recorded_once_for_every_lens(recorded):
    plain = recorded.answer
    recorded.answer = lambda p: dataclasses.replace(plain(p), lens="raw")
    recorded.run("--lvlm-lens", "raw")
    assert [n.kind for n in recorded.recorded] == EVERY_RUN
    # A margin is read through the lens as well.
    assert [n.kind for n in recorded.states] == ["rounding"]


def test_a_prompt_is_recorded_for_itself(lab):
    lab.checks("check_a.py", "passes")
    for prompt in ("What is it?", "What was it?"):
        lines = [f'{{"image": "photos/photo{i}.png", "prompt": "{prompt}"}}\n' for i in range(6)]
        (lab.path / "p.jsonl").write_text("".join(lines))
        lab.run("--lvlm-probes", "p.jsonl")
    assert [n.kind for n in lab.recorded] == EVERY_RUN * 2


def test_a_benchmark_s_file_with_its_images_elsewhere_is_read_and_keyed_by_its_labels(lab):
    lab.checks("check_a.py", "passes")
    (lab.path / "sub").mkdir()
    for label in ("yes", "yes", "no"):
        lines = [
            f'{{"question_id": {i}, "image": "photo{i}.png", "text": "Is it?", "label": "{label}"}}\n'
            for i in range(6)
        ]
        (lab.path / "sub" / "pope.json").write_text("".join(lines))
        lab.run("--lvlm-probes", "sub/pope.json", "--lvlm-image-folder", "photos")
    # No check of this suite reads labels, so that nothing is recorded for them.
    assert [n.kind for n in lab.recorded] == EVERY_RUN * 2


def test_moving_the_model_and_the_pictures_records_nothing_again(recorded):
    (recorded.path / "model").rename(recorded.path / "elsewhere")
    (recorded.path / "photos").rename(recorded.path / "pictures")
    recorded.run("--lvlm-model", "elsewhere", "--lvlm-probes", "pictures")
    assert recorded.recorded == []


def test_a_check_that_needs_more_records_only_that(recorded):
    recorded.checks("check_a.py", "passes", "informs")
    recorded.run()
    assert [n.kind for n in recorded.recorded] == ["reference pairs"]


def test_under_xdist_the_controller_records_and_writes_and_findings_are_the_same(lab):
    lab.checks("sub/check_a.py", "passes", "warns", "nothing")
    lab.checks("sub/check_b.py", "fails", "allowed")
    lab.checks("sub/check_c.py", "raw", opt_in=True)
    # A virtual environment in the project holds the wheel's own suites: not this project's.
    lab.checks(".venv/lib/check_d.py", "fails_too")
    pictures(lab.path / "sub" / "photos", 8)
    result, audit = lab.audit(
        "-n", "2", "--lvlm-report", "r.html", "sub", "--lvlm-probes", "sub/photos"
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    # The model of this test can only be asked in this process: no worker has asked it.
    assert [n.kind for n in lab.recorded] == EVERY_RUN
    counts = ("1 failed", "1 passed", "1 not applicable", "1 warned", "1 inconclusive")
    assert all(count in result.outlines[-1] for count in counts)
    assert audit["provenance"]["family"] == 5
    assert sorted(f for f in lab.files() if f.endswith((".html", ".json")) and "/" not in f) == [
        "audit.json",
        "r.html",
    ]
    lab.recorded.clear()
    alone, again = lab.audit("sub", "--lvlm-probes", "sub/photos")
    assert lab.recorded == []
    assert alone.ret == result.ret
    assert again["findings"] == audit["findings"]


def test_under_xdist_an_error_is_one_message(lab):
    lab.checks("check_a.py", "passes", "warns")
    result = lab.run("-n", "2", "--lvlm-model", "no-such-model")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    errors = [line for line in result.errlines if line.startswith("ERROR")]
    assert len(errors) == 1
    assert "no model 'no-such-model'" in errors[0]
    assert "Traceback" not in "\n".join(result.outlines + result.errlines)


def test_xdist_in_a_project_without_checks_loads_nothing_of_ours(lab):
    (lab.path / "check_theirs.py").write_text("def test_it(): pass\n")
    lab.pytester.makepyfile(test_mine="def test_one(): pass")
    lab.checks(".venv/lib/check_d.py", "fails")
    result = lab.run("-n", "1", "--lvlm-model", "no-such-model")
    result.assert_outcomes(passed=1)
    assert result.ret == 0
