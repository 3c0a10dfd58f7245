"""A series of checkpoints against one parent: order, one table, the first that fell, and resuming."""

from __future__ import annotations

import json

import pytest

from lvlm_audit.engine.local import LocalEngine
from lvlm_audit.engine.protocol import Made
from lvlm_audit.recordings.job import Work
from tests.pytest_plugin.test_gate import answered, asked, nightly, output
from tests.synthetic import rising, trace

__all__ = ["nightly"]

PATTERN = ("--lvlm-model", "runs/step-*/", "--lvlm-baseline", "parent.json")
RIGHT = {"step-9": 24, "step-100": 23, "step-200": 4, "step-1000": 3}
"""How many of the 24 probes each checkpoint answers right."""


@pytest.fixture
def training(nightly, monkeypatch):
    """Four checkpoints of one training; the third is the first that is worse than the parent."""
    for name in RIGHT:
        checkpoint(nightly, name)
    by_hand = LocalEngine.make
    nightly.opened = []

    def make(engine: LocalEngine, work: Work) -> Made:
        name = engine._checkpoint.name.rpartition("/")[2]
        if name not in RIGHT or work.need.kind != "answers":
            return by_hand(engine, work)
        nightly.opened.append(name)
        nightly.recorded.append(work.need)
        return Made(items=[answer(probe, RIGHT[name]) for probe in work.shown.probes])

    monkeypatch.setattr(LocalEngine, "make", make)
    return nightly


def answer(probe, right: int):
    said = probe.answer if int(probe.id[1:]) < right else "something else"
    return trace(rising(), name=probe.id, cluster=probe.cluster, reference=said)


def checkpoint(lab, name: str) -> None:
    folder = lab.path / "runs" / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(f"weights of {name}".encode())


def test_one_table_in_the_order_of_their_numbers_marks_the_first_that_fell(training):
    result = asked(training, *PATTERN, "-v")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert training.opened == ["step-9", "step-100", "step-200", "step-1000"]
    lines = result.outlines
    rows = [line for line in lines if " of 24 " in line and line.startswith(("step-", "(parent)"))]
    assert [row.split()[0] for row in rows] == ["(parent)", *RIGHT]
    for name, row in zip(RIGHT, rows[1:], strict=True):
        assert f"{RIGHT[name]} of 24" in row
        assert ("first that fell" in row) == (name == "step-200")
    assert "first that fell: step-200; the last before it is step-100" in output(result)
    assert "right answers fell from 24 to 4" in output(result)
    # Each check of each checkpoint is a test of its own.
    assert any("::right[step-100]" in line and "INCONCLUSIVE" in line for line in lines)
    assert any("::right[step-1000] FAILED" in line for line in lines)


def test_a_second_run_records_nothing_again(training):
    asked(training, *PATTERN)
    training.opened.clear()
    assert asked(training, *PATTERN).ret == pytest.ExitCode.TESTS_FAILED
    assert not training.opened


def test_k_audits_what_it_leaves(training):
    result = asked(training, *PATTERN, "-k", "step-9 or 100]")
    assert result.ret == 0
    assert training.opened == ["step-9", "step-100"]
    assert "none fell" in output(result)


def test_x_stops_and_the_table_has_what_was_checked(training):
    result = asked(training, *PATTERN, "-x")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "first that fell: step-200" in output(result)
    assert not any(line.startswith("step-1000") for line in result.outlines)


def test_each_checkpoint_has_a_document_of_its_own(training):
    asked(training, *PATTERN, "--lvlm-json", "out.json", "--lvlm-report", "page.html")
    for name, right in RIGHT.items():
        document = json.loads((training.path / f"out-{name}.json").read_text())
        assert [probe["right"] for probe in document["asked"]].count(True) == right
        assert document["subject"]["model"].endswith(name)
        assert document["comparison"]["baseline_model"] == "model"
        assert (training.path / f"page-{name}.html").is_file()
    assert not (training.path / "out.json").exists()


def test_junit_names_the_checkpoint(training):
    asked(training, *PATTERN, "--junitxml", "out.xml", "-k", "right")
    text = (training.path / "out.xml").read_text()
    assert 'name="right[step-200]"' in text
    assert '<property name="lvlm_audit_checkpoint" value="step-200"' in text
    assert text.count("<failure") == 2


def test_a_parent_that_is_a_model_is_asked_once(training):
    answered(training, right=24)
    (training.path / "model" / "model.safetensors").write_bytes(b"other weights of the parent")
    result = asked(training, "--lvlm-model", "runs/step-*", "--lvlm-baseline", "model")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert [need.kind for need in training.recorded].count("answers") == 1 + len(RIGHT)


def test_under_xdist_as_without(training):
    result = training.run("--lvlm-probes", "probes.jsonl", *PATTERN, "-n", "1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "first that fell: step-200" in output(result)


def test_a_pattern_that_finds_nothing_says_so(training):
    result = asked(training, "--lvlm-model", "runs/stop-*", "--lvlm-baseline", "parent.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "the pattern 'runs/stop-*' finds no folder" in output(result)
    assert not training.opened


def test_what_is_no_folder_is_named(training):
    (training.path / "runs" / "step-log.txt").write_text("loss")
    result = asked(training, "--lvlm-model", "runs/step-*", "--lvlm-baseline", "parent.json")
    assert "'runs/step-log.txt' is no folder, and is not audited" in output(result)
    assert "first that fell: step-200" in output(result)


def test_a_folder_of_that_very_name_is_no_pattern(training):
    (training.path / "model").rename(training.path / "step-[1]")
    result = asked(training, "--lvlm-model", "step-[1]", "--lvlm-baseline", "parent.json")
    assert result.ret == 0
    assert "first that fell" not in output(result)


def test_a_checkpoint_that_is_none_ends_before_anything_is_recorded(training):
    (training.path / "runs" / "step-150").mkdir()
    result = asked(training, *PATTERN)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "step-150" in output(result)
    assert not training.opened


def test_a_checkpoint_that_cannot_be_opened_says_how_far_the_series_came(training, monkeypatch):
    from lvlm_audit.errors import ModelBroken

    by_hand = LocalEngine.make

    def make(engine: LocalEngine, work: Work) -> Made:
        if engine._checkpoint.name.endswith("step-200"):
            raise ModelBroken("its weights are cut off.")
        return by_hand(engine, work)

    with monkeypatch.context() as patch:
        patch.setattr(LocalEngine, "make", make)
        result = asked(training, *PATTERN)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = output(result)
    assert "its weights are cut off. This is checkpoint step-200 of the series" in said.replace(
        "ERROR: ", ""
    )
    assert "Audited before it: step-9, step-100" in said
    assert "Not begun: step-1000" in said
    training.opened.clear()
    asked(training, *PATTERN)
    assert training.opened == ["step-200", "step-1000"]


def test_a_series_updates_no_baseline(training):
    result = asked(training, *PATTERN, "--lvlm-update-baseline")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "is a pattern that audits 4" in output(result)
    assert not training.opened


def test_a_series_without_a_parent_is_judged_by_bounds(training):
    result = asked(training, "--lvlm-model", "runs/step-*", "-k", "certain")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "first that fell: step-9" in output(result)
