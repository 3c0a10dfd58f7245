"""`--lvlm-inconclusive more`: images are added in declared looks, until nothing is undecided."""

from __future__ import annotations

import dataclasses
import json

import pytest

from lvlm_audit.comparing import compare
from lvlm_audit.gating.looks import parts_of
from lvlm_audit.probes.probe import Probe
from lvlm_audit.pytest_plugin.status import EXIT_UNDECIDED
from tests.comparing.sides import advantage, answers, right, side
from tests.pytest_plugin.test_gate import CHECKS, NOW, answered, asked, document, nightly, output

__all__ = ["nightly"]

MORE = (*NOW, "--lvlm-inconclusive", "more")


def counted(lab) -> list[str]:
    """Ids of the probes that are answered from now on."""
    said, answer = [], lab.answer

    def counting(probe):
        said.append(probe.id)
        return answer(probe)

    lab.answer = counting
    return said


def looks(lab) -> tuple[int, int, int]:
    gate = document(lab)["gate"]
    return gate["looks"], gate["looks_planned"], gate["images_planned"]


def test_what_stays_undecided_is_asked_of_all_images_and_no_image_twice(nightly):
    answered(nightly, right=23)
    said = counted(nightly)
    result = asked(nightly, *MORE)
    assert result.ret == 0
    assert sorted(said) == sorted(f"p{i}" for i in range(24))
    assert looks(nightly) == (3, 3, 24)
    assert "after 3 of 3 looks: 24 of 24 images" in output(result)
    # Evidence of three parts is evidence of one set, in its order and under its key.
    parent = json.loads((nightly.path / "parent.json").read_text())
    now = document(nightly)
    assert [p["id"] for p in now["asked"]] == [p["id"] for p in parent["asked"]]
    assert now["provenance"]["probes"] == parent["provenance"]["probes"]
    assert now["comparison"]["mismatch"] == []


def test_a_loss_that_is_clear_stops_early(nightly):
    answered(nightly, right=0)
    said = counted(nightly)
    result = asked(nightly, *MORE, "--lvlm-report", "page.html")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert len(said) == len(set(said)) == 6
    assert looks(nightly) == (1, 3, 24)
    assert "after 1 of 3 looks: 6 of 24 images" in output(result)
    assert "after 1 of 3 looks: 6 of 24 images" in (nightly.path / "page.html").read_text()
    # The images that were not asked are no mismatch.
    assert document(nightly)["comparison"]["mismatch"] == []
    assert document(nightly)["comparison"]["changes"][0]["n"] == 6


def test_a_second_run_takes_every_look_out_of_the_store(nightly):
    answered(nightly, right=23)
    asked(nightly, *MORE)
    said = counted(nightly)
    assert asked(nightly, *MORE).ret == 0
    assert not said


def test_each_look_judges_at_its_share_of_the_rate(nightly):
    """The interval of the last look is the one of a third of the rate; of one look it is the whole."""
    answered(nightly, right=23)
    asked(nightly, *NOW)
    (plain,) = document(nightly)["comparison"]["changes"]
    asked(nightly, *MORE)
    (third,) = document(nightly)["comparison"]["changes"]
    # Answers and their words share the level.
    assert plain["interval"]["confidence"] == pytest.approx(1 - 2 * 0.0125)
    assert third["interval"]["confidence"] == pytest.approx(1 - 2 * 0.0125 / 3)
    certain = next(f for f in document(nightly)["findings"] if f["check"] == "certain")
    assert certain["interval"]["confidence"] == pytest.approx(1 - 2 * 0.025 / 3)


def test_a_green_run_that_stopped_early_does_not_become_the_baseline(nightly):
    (nightly.path / "check_a.py").write_text(CHECKS.replace("max_drop=0.05", "max_drop=0.5"))
    asked(nightly, "--lvlm-json", "parent.json")
    before = (nightly.path / "parent.json").read_text()
    result = asked(nightly, *MORE, "--lvlm-update-baseline")
    assert result.ret == 0
    # No change in 6 images excludes no loss of half of the answers at a third of the rate; in 12 it does.
    assert looks(nightly) == (2, 3, 24)
    assert "the baseline was not updated: it was decided after" in output(result)
    assert (nightly.path / "parent.json").read_text() == before


def test_a_question_that_was_changed_is_named(nightly):
    lines = [json.loads(line) for line in (nightly.path / "probes.jsonl").read_text().splitlines()]
    for line in lines:
        line["answer"] = f"not {line['answer']}"
    (nightly.path / "probes.jsonl").write_text("\n".join(map(json.dumps, lines)))
    said = counted(nightly)
    result = asked(nightly, *MORE)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "of the same id and image, but with another prompt" in output(result)
    # It is said after the first look: more images would not mend it.
    assert len(said) == 6


def test_a_parent_that_is_a_model_is_asked_the_whole_set(nightly):
    (nightly.path / "parent").mkdir()
    (nightly.path / "parent" / "config.json").write_text("{}")
    (nightly.path / "parent" / "model.safetensors").write_bytes(b"the parent's")
    said = counted(nightly)
    options = (
        "--lvlm-baseline",
        "parent",
        "--lvlm-json",
        "now.json",
        "--lvlm-inconclusive",
        "more",
    )
    answer = nightly.answer
    assert asked(nightly, *options).ret == 0
    # Both models answer alike here: nothing is shown, so all looks are made.
    assert (len(said), looks(nightly)[0]) == (48, 3)
    assert answer is nightly.answer


def test_what_is_still_undecided_without_a_baseline_has_the_exit_code_of_undecided(lab):
    lab.checks("check_a.py", "undecided")
    result = lab.run("--lvlm-inconclusive", "more")
    assert result.ret == EXIT_UNDECIDED


def test_a_control_that_asks_prompts_has_one_look(lab):
    lab.checks("check_a.py", "passes")
    _, found = lab.audit("--lvlm-control", "blank-image", "--lvlm-inconclusive", "more")
    assert (found["gate"]["looks"], found["gate"]["looks_planned"]) == (1, 1)


def probes(images: int, each: int = 2) -> list[Probe]:
    return [Probe(f"p{i}-{k}", "?", None, f"i{i}") for k in range(each) for i in range(images)]


@pytest.mark.parametrize(
    ("images", "sizes"),
    [(96, [24, 24, 48]), (24, [6, 6, 12]), (21, [6, 5, 10]), (12, [6, 6]), (8, [8]), (1, [1])],
)
def test_parts_are_a_quarter_half_and_all_of_the_images(images, sizes):
    parts = parts_of(probes(images), seed=0)
    assert [len({p.cluster for p in part}) for part in parts] == sizes
    assert sorted(p.id for part in parts for p in part) == sorted(p.id for p in probes(images))


def test_the_order_is_the_seeds_and_not_the_files():
    some = probes(24)
    parts = [{p.id for p in part} for part in parts_of(some, seed=3)]
    assert parts == [{p.id for p in part} for part in parts_of(some[::-1], seed=3)]
    assert parts != [{p.id for p in part} for part in parts_of(some, seed=4)]


class TestContract:
    """What two documents must have in common where not all of a set was asked."""

    PROBES = answers([True] * 24, content="c")
    VALUES = (5.0, 4.0) * 12

    def sides(self, now, **facts):
        parent = side([right(self.PROBES), advantage(self.VALUES)], self.PROBES)
        here = side([right(now), advantage(self.VALUES[: len(now)])], now)
        before = dataclasses.replace(parent, provenance={**parent.provenance, "probes": "whole"})
        told = {"probes": "part", "probes_whole": "whole", **facts}
        return dataclasses.replace(here, provenance={**here.provenance, **told}), before

    def test_what_was_not_asked_yet_is_no_mismatch(self):
        found = compare(*self.sides(self.PROBES[:12]))
        assert found.mismatch == []
        assert {change.n for change in found.changes} == {12}

    def test_another_set_is(self):
        (said,) = compare(*self.sides(self.PROBES[:12], probes_whole="other")).mismatch
        assert said == (
            "probes: the sets that they are drawn from differ (content other here, whole in the baseline)"
        )

    def test_another_question_is_and_is_named(self):
        now = [dataclasses.replace(self.PROBES[0], content="d"), *self.PROBES[1:12]]
        (said,) = compare(*self.sides(now, probes_whole="other")).mismatch
        assert said.endswith("with another prompt, reference answer or labels: 'p00'")

    def test_so_is_a_probe_that_the_baseline_does_not_have(self):
        now = [*self.PROBES[:12], dataclasses.replace(self.PROBES[12], id="new")]
        (said,) = compare(*self.sides(now, probes_whole="other")).mismatch
        assert said == "probes: 1 probe here that the baseline does not have"

    def test_whole_sets_name_the_questions_too(self):
        now = [dataclasses.replace(p, content="d") for p in self.PROBES]
        (said,) = compare(*self.sides(now, probes="x", probes_whole="x")).mismatch
        assert "24 of the same id and image" in said
        assert said.endswith("'p04' and 19 more")
