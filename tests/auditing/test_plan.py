"""Planning: which recordings a suite needs; settings that cannot be used; the other image."""

from __future__ import annotations

import dataclasses

from lvlm_audit import suite
from lvlm_audit.auditing.plan import plan
from lvlm_audit.metrics import grounding
from lvlm_audit.probes.others import other_images
from lvlm_audit.probes.probe import ImageSource, Probe
from lvlm_audit.recordings.need import Need

STATES = [Need("normed", kind) for kind in ("rounding", "features", "common step", "feature maps")]


class TestPlan:
    def test_the_default_suite_needs_every_kind_answers_first(self):
        assert plan(suite().checks, "normed") == [
            Need("normed", "answers"),
            Need("normed", "answer pairs"),
            Need("normed", "reference pairs"),
            *STATES,
        ]

    def test_answers_through_the_runs_lens_are_always_there_and_first(self):
        always = [Need("normed", "answers"), Need("normed", "answer pairs"), *STATES]
        assert plan([], "normed") == always
        assert plan(suite("paper").checks, "normed") == [*always, Need("raw", "answers")]

    def test_answers_without_an_image_are_recorded_on_request_and_last(self):
        assert plan([], "raw", compare_llm=True)[-1] == Need("raw", "text answers")

    def test_replays_without_an_image_share_the_run_with_the_image(self):
        check = dataclasses.replace(suite("grounding").checks[0], metric=grounding)
        assert plan([check], "normed") == plan([], "normed")
        assert Need("raw", "answer pairs") in plan(
            [dataclasses.replace(check, lens="raw")], "normed"
        )

    def test_labels_cost_something_only_where_a_check_reads_them(self):
        checks = suite("hallucination").checks
        more = {Need("normed", "image words"), Need("normed", "text answers")}
        plain = set(plan(checks, "normed", states=False))
        needs = set(plan(checks, "normed", states=False, labelled=True))
        assert needs - plain == more | {Need("normed", "answer pairs")}
        assert not more & set(plan(suite("hallucination").checks, "normed"))
        assert not more & set(plan(suite().checks, "normed", labelled=True))

    def test_states_can_be_left_out(self):
        assert plan([], "normed", states=False) == [Need("normed", "answers")]

    def test_a_check_without_a_lens_follows_the_run(self):
        assert {n.lens for n in plan(suite().checks, "raw")} == {"raw"}

    def test_replays_come_after_the_answers_they_replay(self):
        for lens in ("normed", "raw"):
            needs = plan([*suite().checks, *suite("paper").checks], lens)
            for need in needs:
                assert needs.index(Need(need.lens, "answers")) <= needs.index(need)
            assert len(set(needs)) == len(needs)


def probe(name: str, cluster: str, image: bool = True) -> Probe:
    source = ImageSource(cluster, data=cluster.encode()) if image else None
    return Probe(name, "What?", source, cluster)


def names(*probes: Probe) -> list[str | None]:
    return [None if i is None else i[0].name for i in other_images(probes)]


class TestOtherImages:
    def test_the_next_probe_that_shows_another_image_cyclically(self):
        assert names(probe("a", "x"), probe("b", "y"), probe("c", "z")) == ["y", "z", "x"]

    def test_never_the_same_image(self):
        assert names(probe("a", "x"), probe("b", "x"), probe("c", "y")) == ["y", "y", "x"]

    def test_none_where_all_show_one_image(self):
        assert names(probe("a", "x"), probe("b", "x")) == [None, None]
        assert names(probe("a", "x")) == [None]
        assert names() == []

    def test_probes_without_image_neither_get_nor_give_one(self):
        found = names(probe("a", "x"), probe("b", "y", image=False), probe("c", "z"))
        assert found == ["z", None, "x"]

    def test_a_probe_of_several_images_gets_as_many_others(self):
        two = probe("a", "x").showing([ImageSource("x1"), ImageSource("x2")])
        alone, pair = (
            probe("b", "y"),
            probe("c", "z").showing([ImageSource("z1"), ImageSource("z2")]),
        )
        found = other_images([two, alone, pair])
        assert [[i.name for i in images or ()] for images in found] == [
            ["y", "z1"],
            ["z1"],
            ["x1", "x2"],
        ]
        (first, second) = other_images([two, alone])
        assert [i.name for i in first or ()] == ["y", "y"]
        assert [i.name for i in second or ()] == ["x1"]
