"""From hand-made traces to the document: what it records, and which verdict it comes to."""

from __future__ import annotations

import dataclasses

import pytest

import lvlm_audit
from lvlm_audit import Check, Severity, Stage, at_least
from lvlm_audit.auditing.conclude import findings
from lvlm_audit.document import Audit, Verdict
from lvlm_audit.errors import CheckError, TraceError
from lvlm_audit.metrics.curves import image_divergence, token_probability
from lvlm_audit.properties import Kept, Rise, Value
from lvlm_audit.spec.suite import Suite
from lvlm_audit.traces.trace import TokenClass
from tests.evidence import evidence_of, run_on
from tests.synthetic import EARLY, EMITTED, OTHER, pair, rising, trace

STEP = {"divergence": [0.5] * 6 + [0.0] * 6, "leader": [EARLY] * 6 + [EMITTED] * 7}
NAMES = [f"p{i:02}" for i in range(30)]
HEALTHY = [trace(rising(12, 6), name=n, reference="Blue.", **STEP) for n in NAMES]
GROUNDED = [pair([0.0] * 6 + [0.4] * 7, name=n) for n in NAMES]


def check(name: str, **fields) -> Check:
    base = {
        "statement": "It holds.",
        "stage": Stage.RAPID_EVOLUTION,
        "metric": token_probability,
        "property": Rise(),
        "holds_for": at_least(0.3, of="images"),
        "rationale": "A test.",
        "name": name,
    }
    return Check(**{**base, **fields})


PASSES = check("passes")
FAILS = check("fails", property=Value(), holds_for=at_least(0.99, of="mean"))
WARNS = dataclasses.replace(FAILS, name="warns", severity=Severity.WARN)
OPEN = check("undecided", holds_for=at_least(0.9, of="images"))
NOTHING = check(
    "nothing",
    metric=image_divergence,
    property=Kept(),
    tokens="content",
    holds_for=at_least(0.5, of="images"),
)


def run(*checks: Check, traces=HEALTHY[:8]) -> Audit:
    return lvlm_audit.run(Suite("test", checks), traces)


@pytest.fixture(scope="module")
def audit() -> Audit:
    """An audit of a model that is healthy by construction, with the default suite."""
    return run_on(
        lvlm_audit.suite(),
        HEALTHY,
        answer_pairs=GROUNDED,
        reference_pairs=GROUNDED,
        model="by hand",
    )


class TestTheWholeDocument:
    def test_a_healthy_model_passes_the_default_suite(self, audit):
        described = dict.fromkeys(
            (c.name for c in lvlm_audit.suite().checks if not c.bounded), Verdict.DESCRIBED
        )
        assert {f.check: f.verdict for f in audit.findings} == {
            **dict.fromkeys((c.name for c in lvlm_audit.suite().checks), Verdict.PASS),
            **described,
            # These answers have no labels.
            "wrong_words": Verdict.NOT_APPLICABLE,
        }
        assert audit.verdict is Verdict.PASS
        assert audit.headline == "4 of 4 deciding checks passed, none failed."

    def test_stages_are_those_that_were_planted(self, audit):
        assert (audit.stages.critical_layer, audit.stages.mutation_layers) == (6, [])
        assert audit.stages.blocks == audit.subject.blocks == 12
        levels = {level.name: level for level in audit.stages.levels}
        assert set(levels) == {"probability", "distribution", "feature"}
        assert not levels["feature"].measured
        assert audit.stages.levels_agree is True

    def test_every_probe_and_token_has_its_curves(self, audit):
        assert [p.id for p in audit.probes] == NAMES
        token = audit.probes[0].tokens[0]
        assert (token.onset, token.critical, token.settle, token.saturation) == (6, 6, 6, 6)
        assert token.probability == [0.01] * 6 + [0.9] * 7
        assert token.grounding == [0.0] * 6 + [0.4] * 7
        assert token.leaders == [" noise"] * 6 + [" blue"] * 7
        assert (token.mutations, token.terminal_change, token.eligible) == ([], False, True)
        assert audit.probes[0].reference == "Blue."

    def test_layer_summaries_have_one_value_a_state_or_transition(self, audit):
        for layer in audit.layers:
            size = 12 if layer.axis == "transition" else 13
            assert len(layer.median) == len(layer.low) == len(layer.high) == size
            assert all(
                a <= b <= c for a, b, c in zip(layer.low, layer.median, layer.high, strict=True)
            )

    def test_quiet_blocks_are_nominated_and_never_certified(self, audit):
        assert {n.block for n in audit.uses.removable} == {6, 7, 8, 9, 10}
        assert "Not certified" in audit.uses.removable_note
        assert "no base rate" in audit.uses.reversals_note

    def test_it_is_what_it_was_after_a_round_trip(self, audit):
        assert Audit.from_json(audit.to_json()) == audit

    def test_the_same_traces_give_the_same_findings(self, audit):
        again = run_on(lvlm_audit.suite(), HEALTHY, answer_pairs=GROUNDED, reference_pairs=GROUNDED)
        assert again.findings == audit.findings


def test_a_late_reversal_is_listed_with_its_margin():
    p = [0.1] * 10 + [0.8] * 3
    late = trace(
        p,
        name="late",
        nucleus=rising(12, 6),
        leader=[OTHER] * 10 + [EMITTED] * 3,
        candidates={OTHER: [0.6] * 10 + [0.2] * 3, EMITTED: p},
        tokens=1,
    )
    audit = run(PASSES, traces=[late, *HEALTHY[:7]])
    (found,) = audit.uses.reversals
    assert (found.probe, found.state, found.before, found.after) == ("late", 10, " red", " blue")
    assert found.margin == pytest.approx(0.6)
    assert audit.probes[0].tokens[0].mutations == [10]


class TestVerdict:
    @pytest.mark.parametrize(
        ("checks", "verdict"),
        [
            ([PASSES], "pass"),
            ([PASSES, WARNS], "pass"),
            ([PASSES, NOTHING], "pass"),
            ([PASSES, FAILS], "fail"),
            ([PASSES, OPEN], "fail"),
            ([PASSES, dataclasses.replace(OPEN, allow_inconclusive=True)], "pass"),
            ([NOTHING], "fail"),
            ([NOTHING, dataclasses.replace(NOTHING, name="more", severity=Severity.WARN)], "fail"),
            ([NOTHING, WARNS], "fail"),
            ([WARNS], "pass"),
        ],
        ids=lambda v: "+".join(c.name for c in v) if isinstance(v, list) else v,
    )
    def test_of_the_run(self, checks, verdict):
        assert run(*checks).verdict == verdict

    def test_the_headline_names_what_decided(self):
        assert run(PASSES, FAILS, OPEN).headline == (
            "2 of 3 deciding checks did not pass: fails (rapid evolution, fail), "
            "undecided (rapid evolution, inconclusive)."
        )
        assert "1 warned: warns" in run(PASSES, WARNS).headline
        assert "no deciding check is applicable" in run(NOTHING).headline

    def test_no_check_is_an_error_not_a_pass(self):
        with pytest.raises(CheckError, match="suite 'test' has no check"):
            run()

    def test_findings_of_another_lens_come_from_its_own_evidence(self):
        raw = [trace([0.9] * 13, name=n, lens="raw") for n in NAMES]
        evidence = {"normed": evidence_of("normed", HEALTHY), "raw": evidence_of("raw", raw)}
        through_raw = dataclasses.replace(PASSES, name="raw", lens="raw")
        normed, other = findings(Suite("t", (PASSES, through_raw)), evidence, "normed")
        assert (normed.observed, other.observed) == (1.0, 0.0)


class TestTracesThatCannotBeAudited:
    @pytest.mark.parametrize(
        ("traces", "message"),
        [
            ([], "an audit needs traces of one model"),
            ([trace(rising(12)), trace(rising(10))], r"\[10, 12\] blocks"),
            ([trace(rising()), trace(rising(), lens="raw")], "lenses \\['normed', 'raw'\\]"),
            (
                [trace(rising(), classes=[TokenClass.SPECIAL] * 4)] * 6,
                "no eligible token in any answer",
            ),
        ],
    )
    def test_errors(self, traces, message):
        with pytest.raises(TraceError, match=message):
            run(PASSES, traces=traces)

    def test_a_check_of_another_lens(self):
        with pytest.raises(TraceError, match="checks raw read another lens than 'normed'"):
            run(dataclasses.replace(PASSES, name="raw", lens="raw"))
