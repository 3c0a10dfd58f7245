"""Modes by name, what a plan has recorded for them, and what the document says about them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import lvlm_audit
from lvlm_audit import Check, Stage, at_most, find_stages
from lvlm_audit.auditing.conclude import conclude
from lvlm_audit.auditing.plan import plan, with_paper_index
from lvlm_audit.document import TerminalTransition
from lvlm_audit.errors import TraceError, UsageError
from lvlm_audit.properties import Value
from lvlm_audit.readings.last_transition import in_words, last_transition
from lvlm_audit.settings.audit import Settings
from lvlm_audit.settings.reading import Mode, choose, mode_name
from lvlm_audit.spec.suite import Suite
from lvlm_audit.traces.trace import TokenClass
from tests.evidence import evidence_of
from tests.synthetic import EARLY, EMITTED, OTHER, rising, trace

L = 12
PAPER = Mode("raw", "paper_index", "paper")
CHECK = Check(
    "The index stays low.",
    stage=Stage.STABILIZATION,
    metric=lvlm_audit.metrics.paper_index,
    property=Value(),
    holds_for=at_most(1.0, of="mean"),
    rationale="A test.",
    name="low",
)


class TestNames:
    def test_the_default_is_the_correct_one(self):
        assert choose(None) == Mode() == Settings().mode == Mode("normed", "jsd", "none")
        assert mode_name(Mode()) == ""

    def test_paper_is_all_three(self):
        assert choose("paper") == PAPER
        assert mode_name(PAPER) == "paper"
        assert mode_name(Mode("raw")) == ""

    def test_each_choice_can_be_made_alone(self):
        assert choose(None, scaling="paper") == Mode(scaling="paper")
        assert choose(None, divergence="paper_index", lens="raw").scaling == "none"

    def test_what_agrees_may_be_said_and_what_contradicts_may_not(self):
        assert choose("paper", lens="raw") == PAPER
        with pytest.raises(UsageError, match="Drop one of them"):
            choose("paper", scaling="none")

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"divergence": "kl"}, "divergence 'kl' is not one of jsd, paper_index"),
            ({"scaling": "log"}, "scaling 'log' is not one of none, paper"),
        ],
    )
    def test_names_that_are_not_known(self, fields, message):
        with pytest.raises(UsageError, match=message):
            Settings(**fields)
        with pytest.raises(UsageError, match="mode 'papers' is not one of paper"):
            choose("papers")


class TestPlan:
    def needs(self, mode, *checks):
        return with_paper_index(plan(checks, mode.lens), checks, mode)

    def test_the_index_is_recorded_where_the_run_or_a_check_reads_it(self):
        def asked(*given):
            return [(n.lens, n.paper_index) for n in self.needs(*given) if n.kind == "answers"]

        assert asked(PAPER) == [("raw", True)]
        assert asked(Mode("raw")) == [("raw", False)]
        both = asked(Mode(), dataclasses.replace(CHECK, lens="raw"))
        assert both == [("normed", False), ("raw", True)]

    def test_answers_without_an_image_hold_it_where_the_run_reads_it(self):
        for mode in (PAPER, Mode("raw")):
            last = with_paper_index(plan([], mode.lens, compare_llm=True), [], mode)[-1]
            assert (last.kind, last.paper_index) == ("text answers", mode is PAPER)

    def test_replays_are_the_same_recording_in_any_mode(self):
        for mode in (PAPER, Mode("raw")):
            for need in self.needs(mode, *lvlm_audit.suite().checks):
                assert need.paper_index == (need.kind == "answers" and mode is PAPER)


def answers(index, n=8, **more):
    jsd = [0.5] * 6 + [0.0] * 6
    return [
        trace(rising(L, 6), name=f"p{i}", divergence=jsd, lens="raw", paper_index=index, **more)
        for i in range(n)
    ]


class TestStages:
    def test_the_distribution_level_reads_the_divergence_of_the_mode(self):
        # The JSD collapses at state 6; the index, in another unit, at state 4.
        traces = answers([3e-5] * 4 + [1e-7] * 8)
        states = {
            name: find_stages(traces, divergence_name=name).by_level["distribution"].critical_state
            for name in ("jsd", "paper_index")
        }
        assert states == {"jsd": 6, "paper_index": 4}

    def test_the_document_says_which_it_was(self):
        audit = lvlm_audit.run(
            Suite("t", (CHECK,)),
            answers([3e-5] * 4 + [1e-7] * 8),
            divergence="paper_index",
            scaling="paper",
        )
        assert (audit.subject.mode, audit.subject.scaling) == ("paper", "paper")
        (level,) = [level for level in audit.stages.levels if level.name == "distribution"]
        assert level.critical.state == 4
        assert "read on paper_index" in audit.stages.note
        assert audit.probes[0].tokens[0].paper_index == [3e-5] * 4 + [1e-7] * 8, "never scaled"

    def test_traces_without_it_cannot_be_read_so(self):
        with pytest.raises(TraceError, match="probe 'p0' holds no paper_index"):
            lvlm_audit.run(
                Suite("t", (dataclasses.replace(CHECK, metric=lvlm_audit.metrics.entropy),)),
                answers(None),
                divergence="paper_index",
            )

    def test_a_check_of_it_needs_traces_that_have_it(self):
        with pytest.raises(TraceError, match="paper_index=True"):
            lvlm_audit.run(Suite("t", (CHECK,)), answers(None))


class TestLastTransition:
    def evidence(self, lens, last, rest=(0.4,) * 5 + (0.1,) * 6, n=6):
        traces = [
            trace(rising(L, 6), name=f"p{i}", divergence=[*rest, last], lens=lens) for i in range(n)
        ]
        return evidence_of(lens, traces)

    def test_by_hand(self):
        seen = last_transition(self.evidence("raw", 0.75))
        assert seen == TerminalTransition("raw", 0.75, 0.1, 0.4, 24)

    def test_only_eligible_tokens_count(self):
        quiet = trace(rising(L), divergence=[0.0] * L, classes=[TokenClass.SPECIAL] * 4)
        evidence = self.evidence("raw", 0.75)
        more = evidence_of("raw", [*evidence.traces, *[quiet] * 20])
        assert last_transition(more) == last_transition(evidence)
        assert last_transition(evidence_of("raw", [quiet])) is None

    def test_it_is_the_median_of_each_transition(self):
        rng = np.random.default_rng(0)
        jsd = rng.random((5, L))
        traces = [trace(rising(L), tokens=1, divergence=row, lens="raw") for row in jsd]
        seen = last_transition(evidence_of("raw", traces))
        typical = [sorted(jsd[:, i])[2] for i in range(L)]
        assert seen.terminal == pytest.approx(typical[-1], rel=5e-3)
        assert seen.largest_before == pytest.approx(max(typical[:-1]), rel=5e-3)
        assert seen.before == pytest.approx(sorted(typical[:-1])[5], rel=5e-3)

    def test_the_words_name_both_lenses_where_both_were_recorded(self):
        raw, normed = (
            last_transition(self.evidence(lens, last))
            for lens, last in (("raw", 0.75), ("normed", 0.2))
        )
        alone, both = in_words([raw]), in_words([normed, raw])
        assert (
            "has a median JSD of 0.75 bits; the ones before it have 0.1 bits in the median" in alone
        )
        assert "the norm makes a jump there" in alone
        assert "this run did not record it" in alone
        assert "the same transition has 0.2 bits" in both
        assert in_words([normed]) == ""

    def test_no_jump_is_claimed_where_none_was_measured(self):
        quiet = last_transition(self.evidence("raw", 0.15))
        assert "in this model that makes no jump" in in_words([quiet])
        assert "the norm makes a jump" not in in_words([quiet])

    def test_the_document_has_the_numbers_of_every_lens(self):
        evidence = self.evidence("normed", 0.2)
        audit = lvlm_audit.run(
            Suite("t", (dataclasses.replace(CHECK, metric=lvlm_audit.metrics.entropy),)),
            evidence.traces,
        )
        assert [t.lens for t in audit.stages.terminal] == ["normed"]
        assert audit.stages.terminal_note == ""
        more = conclude(
            audit.findings,
            evidence,
            subject=audit.subject,
            others=[self.evidence("raw", 0.75)],
        )
        assert [t.lens for t in more.stages.terminal] == ["normed", "raw"]
        assert "0.75 bits" in more.stages.terminal_note


def test_rivals_are_candidates_from_the_critical_layer_on():
    # " red" leads before the critical state 6 only, " noise" at it: only that is a candidate.
    leader = [OTHER] * 6 + [EARLY] + [EMITTED] * 6
    curves = {OTHER: [0.9] * 6 + [0.03] * 7, EARLY: [0.0] * 6 + [0.06] + [0.02] * 6}
    traces = [
        trace(rising(L, 6), name=f"p{i}", nucleus=rising(L, 6), leader=leader, candidates=curves)
        for i in range(8)
    ]
    audit = lvlm_audit.run(
        Suite("t", (dataclasses.replace(CHECK, metric=lvlm_audit.metrics.entropy),)), traces
    )
    assert audit.stages.critical_layer == 6
    assert [r["text"] for r in audit.probes[0].tokens[0].rivals] == [" noise"]
