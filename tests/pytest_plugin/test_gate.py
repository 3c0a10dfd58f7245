"""The gate as a person meets it: a baseline, what turns the run red, and the exit codes."""

from __future__ import annotations

import json

import pytest

from lvlm_audit.pytest_plugin.status import EXIT_UNDECIDED
from tests.pytest_plugin.lab import pictures
from tests.synthetic import rising, trace

CHECKS = """
from lvlm_audit import Check, Severity, Stage, at_least, described
from lvlm_audit.metrics import right_answer, token_probability
from lvlm_audit.properties import Holds, Value

right = Check(
    "Right answers stay.", stage=Stage.WHOLE_ANSWER, metric=right_answer, property=Holds(0.5),
    holds_for=described(of="answers"), max_drop=0.05, rationale="A test.",
)
certain = Check(
    "Ends certain.", stage=Stage.RAPID_EVOLUTION, metric=token_probability, property=Value(),
    holds_for=at_least(0.99, of="mean"), rationale="A test.",
)
"""


def output(result) -> str:
    return " ".join(" ".join(result.outlines + result.errlines).split())


@pytest.fixture
def nightly(lab):
    """24 pictures with a reference each, a model that answers all of them right, and its document."""
    pictures(lab.path / "pictures", 24)
    said = trace(rising()).answer
    lines = [
        {"id": f"p{i}", "image": f"pictures/photo{i}.png", "prompt": "What?", "answer": said}
        for i in range(24)
    ]
    (lab.path / "probes.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (lab.path / "check_a.py").write_text(CHECKS)
    lab.said = said
    answered(lab, right=24)
    asked(lab, "--lvlm-json", "parent.json")
    return lab


def answered(lab, *, right: int) -> None:
    """So many of the probes are answered right from now on, by other weights."""
    (lab.path / "model" / "model.safetensors").write_bytes(b"weights %d" % right)
    lab.answer = lambda probe: trace(
        rising(),
        name=probe.id,
        cluster=probe.cluster,
        reference=probe.answer if int(probe.id[1:]) < right else "something else",
    )


def asked(lab, *arguments: str) -> pytest.RunResult:
    lab.recorded.clear()
    return lab.run("--lvlm-probes", "probes.jsonl", *arguments)


def document(lab) -> dict:
    return json.loads((lab.path / "now.json").read_text())


NOW = ("--lvlm-baseline", "parent.json", "--lvlm-json", "now.json")


def test_the_second_night_is_green_and_says_what_it_does_not_prove(nightly):
    result = asked(nightly, *NOW)
    assert result.ret == 0
    assert document(nightly)["gate"] == {
        "fail_on": "regression",
        "inconclusive": "warn",
        "red": [],
        "undecided": ["right"],
        "left_out": [],
        "looks": 1,
        "looks_planned": 1,
        "images_planned": 0,
    }
    # The broken bound is said, and decides nothing here.
    assert "beyond its own bound, which decides nothing here: certain" in output(result)
    assert "1 warned" in output(result)


def test_a_loss_is_red_and_told_in_one_sentence(nightly):
    answered(nightly, right=4)
    result = asked(nightly, *NOW)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "right answers fell from 24 to 4" in output(result)
    assert document(nightly)["gate"]["red"] == ["right"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--lvlm-inconclusive", "fail"], EXIT_UNDECIDED),
        (["--lvlm-fail-on", "not-excluded"], 1),
        (["--lvlm-fail-on", "absolute"], 1),
        (["--lvlm-fail-on", "both"], 1),
        (["-k", "right"], 0),
    ],
)
def test_an_unchanged_model_under_every_rule(nightly, arguments, code):
    assert asked(nightly, *NOW, *arguments).ret == code


def test_a_deciding_check_that_was_left_out_is_named(nightly):
    result = asked(nightly, *NOW, "-k", "certain")
    assert document(nightly)["gate"]["left_out"] == ["right"]
    assert "0 of 1 deciding check was run, left out: right" in output(result)


def test_what_was_asked_otherwise_is_not_compared_unless_it_is_allowed(nightly):
    result = asked(nightly, *NOW, "--lvlm-max-new-tokens", "7")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "longest answer (tokens): 7 here, 48 in the baseline" in output(result)
    allowed = ("--lvlm-max-new-tokens", "7", "--lvlm-baseline-allow-mismatch")
    assert asked(nightly, *NOW, *allowed).ret == 0


def test_too_few_images_end_before_anything_is_recorded(nightly):
    lines = (nightly.path / "probes.jsonl").read_text().splitlines()[:3]
    (nightly.path / "probes.jsonl").write_text("\n".join(lines))
    result = asked(nightly, *NOW)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "with 3 images not even a total loss could be shown" in output(result)
    assert not nightly.recorded


def test_probes_that_do_not_say_what_is_right_end_before_anything_is_recorded(nightly):
    nightly.recorded.clear()
    result = nightly.run(*NOW)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "no loss could be shown with these probes" in output(result)
    assert not nightly.recorded


def test_a_baseline_may_be_a_model_which_is_asked_first(nightly):
    (nightly.path / "parent").mkdir()
    (nightly.path / "parent" / "config.json").write_text("{}")
    (nightly.path / "parent" / "model.safetensors").write_bytes(b"the parent's")
    answered(nightly, right=23)
    result = asked(nightly, "--lvlm-baseline", "parent", "--lvlm-json", "now.json")
    assert result.ret == 0
    assert [need.kind for need in nightly.recorded].count("answers") == 2
    assert document(nightly)["comparison"]["baseline_model"] == "parent"


def test_a_green_run_updates_the_baseline_and_keeps_the_first_as_an_anchor(nightly):
    first = (nightly.path / "parent.json").read_text()
    answered(nightly, right=23)
    assert asked(nightly, *NOW, "--lvlm-update-baseline").ret == 0
    assert (nightly.path / "parent.anchor.json").read_text() == first
    second = json.loads((nightly.path / "parent.json").read_text())
    assert [probe["right"] for probe in second["asked"]].count(True) == 23
    # Each night loses what is tolerated; against the anchor it adds up.
    answered(nightly, right=8)
    result = asked(nightly, *NOW, "--lvlm-update-baseline")
    assert result.ret == 1
    assert "the run is not green" in output(result)
    assert json.loads((nightly.path / "parent.json").read_text()) == second
    assert document(nightly)["anchor"]["anchor"] is True


def test_a_model_is_no_baseline_that_can_be_updated(nightly):
    result = asked(nightly, "--lvlm-baseline", "model", "--lvlm-update-baseline")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "writes a document" in output(result)


def test_a_rule_about_a_baseline_needs_one(nightly):
    result = asked(nightly, "--lvlm-fail-on", "regression")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "name an earlier audit or a model with --lvlm-baseline" in output(result)
