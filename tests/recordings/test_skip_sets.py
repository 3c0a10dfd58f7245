"""The second phase of a run: skip sets formed of the answers, measured, stored, and read by checks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lvlm_audit import Check, Skip, Stage, at_least, at_most, suite
from lvlm_audit.auditing.plan import plan
from lvlm_audit.document import Audit, Verdict
from lvlm_audit.errors import CheckError, UsageError
from lvlm_audit.metrics import leader_agreement, skip_kl, token_probability
from lvlm_audit.properties import Holds, Value
from lvlm_audit.readings.effects import skip_reading
from lvlm_audit.recordings.evidence import Evidence, Recorded
from lvlm_audit.recordings.need import Need
from lvlm_audit.recordings.skip_sets import form
from lvlm_audit.spec.judge import judge, observe
from lvlm_audit.statistics import fold_of
from lvlm_audit.traces.trace import TokenClass
from tests.auditing.test_resume import bench, checkpoint  # noqa: F401
from tests.evidence import evidence_of
from tests.synthetic import EARLY, EMITTED, OTHER, effect, rising, trace

QUIET = {"divergence": [0.5] * 6 + [0.0] * 14, "leader": [EARLY] * 6 + [EMITTED] * 15}
BASE = Need("normed", "answers")


def effect_need(which) -> Need:
    return Need("normed", "effects", Skip(which))


class TestForm:
    def test_nodes_of_one_half_serve_the_other(self):
        """Two kinds of images, one in each half: every image is skipped at the other kind's nodes."""
        names = [f"i{n:02}" for n in range(40)]
        fold = dict(zip(names, fold_of(names).tolist(), strict=True))
        at = {0: 6, 1: 9}
        traces = []
        for name in names:
            state = at[fold[name]]
            traces.append(
                trace(
                    rising(20, state),
                    name=name,
                    divergence=[0.5] * state + [0.0] * (20 - state),
                    leader=[EARLY] * state + [EMITTED] * (21 - state),
                )
            )
        formed = form(Skip("skip.1"), traces)
        assert formed.reason == ""
        for name in names:
            assert formed.blocks[name] == tuple(range(at[1 - fold[name]], 19))

    def test_a_model_without_stages_has_none_but_the_papers(self):
        traces = [trace([0.9] * 21, name=f"p{i:02}") for i in range(20)]
        formed = form(Skip("skip.1"), traces)
        assert not formed.blocks
        assert "one half of the images no critical layer was located" in formed.reason
        paper = form(Skip("skip.1", "paper"), traces)
        assert set(paper.blocks.values()) == {(13, 14)}
        assert len(paper.blocks) == 20

    def test_indices_that_the_model_does_not_have(self):
        traces = [trace(rising(20), name=f"p{i}") for i in range(6)]
        with pytest.raises(UsageError, match="there is no block 20"):
            form(Skip((20,)), traces)

    def test_one_image_locates_nothing(self):
        assert "no critical layer" in form(Skip("skip.3"), [trace(rising(20), **QUIET)]).reason


class TestDeclaring:
    def test_a_metric_of_an_effect_and_a_skip_set_belong_together(self):
        fields = {
            "stage": Stage.MUTATION, "property": Value(), "holds_for": at_most(1.0, of="mean"),
            "rationale": "A test.",
        }  # fmt: skip
        with pytest.raises(CheckError, match="needs under=Skip"):
            Check("A.", metric=skip_kl, **fields)
        with pytest.raises(CheckError, match="no other takes it"):
            Check("A.", metric=token_probability, under=Skip("skip.1"), **fields)
        check = Check("A.", metric=skip_kl, under=Skip("skip.1", "paper"), **fields)
        assert check.declared()["under"] == "skip.1 at the paper's depth"

    def test_the_plan_measures_them_after_the_answers_with_all_named_sets_beside(self):
        needs = plan(suite("compression").checks, "normed")
        effects = [n for n in needs if n.kind == "effects"]
        assert needs[0] == BASE
        assert needs[-len(effects) :] == effects
        assert {n.skip for n in effects} == {
            Skip(f"skip.{i}", at) for i in (1, 2, 3) for at in ("nodes", "paper")
        }
        assert not [n for n in plan(suite().checks, "normed") if n.kind == "effects"]


class TestRun:
    def test_recorded_once_then_read_from_the_store(self, bench):  # noqa: F811
        needs = [BASE, effect_need((1, 2)), effect_need("skip.1")]
        first = bench.run(needs)
        measured = first.evidence["normed"].effects[Skip((1, 2))]
        assert [e.asked.id for e in measured.items] == [str(i) for i in range(6)]
        assert all(e.blocks == (1, 2) and e.kl.min() >= 0 for e in measured.items)
        assert all(e.answer is not None for e in measured.items)
        assert [e.token_ids.tolist() for e in measured.items] == [
            t.token_ids.tolist() for t in first.evidence["normed"].traces
        ]
        # Random weights have no stages.
        named = first.evidence["normed"].effects[Skip("skip.1")]
        assert named.items == ()
        assert "no critical layer was located" in named.reason
        again = bench.run(needs)
        assert bench.asked == []
        assert again.provenance["traces_reused"]
        for ours, theirs in zip(
            measured.items, again.evidence["normed"].effects[Skip((1, 2))].items, strict=True
        ):
            assert np.array_equal(ours.kl, theirs.kl)
        assert again.evidence["normed"].effects[Skip("skip.1")].reason == named.reason

    def test_another_set_is_another_recording(self, bench):  # noqa: F811
        bench.run([BASE, effect_need((1, 2))])
        bench.run([BASE, effect_need((1, 3))])
        assert bench.asked

    def test_a_set_that_the_model_does_not_have_stops_the_run(self, bench):  # noqa: F811
        with pytest.raises(UsageError, match="there is no block 9: this model has 9"):
            bench.run([BASE, effect_need((9,))])


def evidence(kept: float, images: int = 40, reason: str = "") -> Evidence:
    """Effects in which a share of the tokens keeps its leader."""
    draw = np.random.default_rng(1)
    items = [
        effect(agrees=draw.random(20) < kept, name=f"p{i:02}", skip="skip.1") for i in range(images)
    ]
    traces = [trace(rising(12), name=f"p{i:02}") for i in range(max(images, 1))]
    return evidence_of("normed", traces, effects={Skip("skip.1"): Recorded(items, reason)})


CHECK = next(c for c in suite("compression").checks if c.name == "stabilization_skippable")


class TestChecks:
    @pytest.mark.parametrize("check", suite("compression").checks, ids=lambda c: c.name)
    @pytest.mark.parametrize("kept", [1.0, 0.0])
    def test_every_check_can_pass_and_can_fail(self, check, kept):
        draw = np.random.default_rng(2)
        items = [
            effect(
                agrees=np.full(10, bool(kept)) ^ (draw.random(10) < 0.02),
                name=f"p{i:02}",
                skip=check.under.label,
                same=bool(kept),
            )
            for i in range(60)
        ]
        traces = [trace(rising(12), name=f"p{i:02}") for i in range(60)]
        seen = evidence_of("normed", traces, effects={check.under: Recorded(items)})
        (finding,) = judge([observe(check, seen)], family=4)
        passes = (check.holds_for.side == ">=") == bool(kept)
        assert finding.verdict is (Verdict.PASS if passes else Verdict.FAIL), finding.message
        assert finding.eligible.tokens == 600

    def test_without_a_set_it_is_not_applicable_and_says_why(self):
        (finding,) = judge([observe(CHECK, evidence(1.0, images=0, reason="no plateau"))])
        assert finding.verdict is Verdict.NOT_APPLICABLE
        assert "no plateau" in finding.message

    def test_special_tokens_and_continuations_do_not_count(self):
        classes = [TokenClass.CONTENT] * 6 + [TokenClass.SPECIAL, TokenClass.CONTINUATION]
        items = [
            effect(agrees=[True] * 6 + [False] * 2, name=f"p{i:02}", classes=classes)
            for i in range(40)
        ]
        traces = [trace(rising(12), name=f"p{i:02}") for i in range(40)]
        seen = evidence_of("normed", traces, effects={Skip("skip.1"): Recorded(items)})
        (finding,) = judge([observe(CHECK, seen)])
        assert finding.observed == 1.0
        assert finding.eligible.excluded == {"continuation": 40, "special": 40}


class TestReading:
    def test_by_hand(self):
        one = effect(agrees=[True, True, False, True], kl=[0, 0, 4, 0], name="a", same=True)
        two = effect(agrees=[False, False, False, False], kl=[2, 2, 2, 2], name="b", same=False)
        one = dataclasses.replace(one, asked=dataclasses.replace(one.asked, reference="base"))
        two = dataclasses.replace(two, asked=dataclasses.replace(two.asked, reference="Base."))
        traces = [trace(rising(12), name=n) for n in "ab"]
        seen = evidence_of(
            "normed",
            traces,
            effects={Skip("skip.1"): Recorded([one, two]), Skip("skip.2"): Recorded([], "none")},
        )
        reading = skip_reading(seen)
        first, second = reading.effects
        assert (first.kl.value, first.leader_kept.value, first.answers_kept.value) == (
            1.5,
            0.375,
            0.5,
        )
        assert (first.accuracy_whole, first.accuracy_skipped, first.accuracy_change.value) == (
            1.0,
            0.5,
            -0.5,
        )
        # Two images decide nothing: the full range, and none for what has no upper end.
        assert (first.leader_kept.interval.low, first.leader_kept.interval.high) == (0.0, 1.0)
        assert first.kl.interval is None
        assert [(s.whole, s.skipped) for s in first.changed] == [("base", "other")]
        assert (second.sets, second.reason, second.kl) == ([], "none", None)

    def test_nothing_asked_for_is_nothing_read(self):
        assert skip_reading(evidence_of("normed", [trace(rising(12))])) is None

    def test_the_document_goes_through_json(self):
        from tests.report import documents

        audit = documents.audit(skips=skip_reading(evidence(0.5)))
        assert Audit.from_json(audit.to_json()) == audit


def test_a_property_that_holds_from_a_value_on():
    from lvlm_audit.properties import Context

    curve = np.array([[0.0, 0.5], [1.0, 0.49], [0.0, np.nan]])
    seen = Holds(0.5).observe(None, curve, Context(None))
    assert seen[:2].tolist() == [1.0, 0.0]
    assert np.isnan(seen[2])


def test_leaders_of_other_states_do_not_matter():
    one = effect(agrees=[True, False], name="a")
    assert leader_agreement.curve(one).tolist() == [[1.0], [0.0]]
    assert OTHER not in one.leaders[0]
    check = dataclasses.replace(CHECK, holds_for=at_least(0.4, of="tokens"))
    assert check.unit == "share of tokens"
