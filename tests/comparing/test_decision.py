"""What is red, what is undecided, and what cannot be judged at all."""

from __future__ import annotations

import dataclasses

import pytest

from lvlm_audit.comparing import compare, decide, decides, verdict_sentence
from lvlm_audit.document import (
    Change,
    Comparison,
    Expectation,
    FedDifference,
    Finding,
    Outcome,
    Severity,
    Verdict,
)
from lvlm_audit.settings.gate import Gate
from tests.comparing.sides import FED, advantage, answers, by_image, finding, right, side

GATE = Gate(baseline="parent.json")


def change(check: str, outcome: Outcome, **changes) -> Change:
    values = {
        "check": check,
        "statement": "It holds.",
        "severity": Severity.ERROR,
        "outcome": outcome,
        "unit": "bits",
        "now": 1.0,
        "before": 5.0,
        "change": -4.0,
        "interval": None,
        "limit": -1.0,
        "n": 24,
        "sentence": f"{check} changed",
        "short": f"{check} changed",
    }
    return Change(**(values | changes))


def against(*changes: Change, **more) -> Comparison:
    return Comparison(
        baseline_model="parent", baseline_created="2026", changes=list(changes), **more
    )


def bound(check: str, verdict: Verdict, **more) -> Finding:
    """A check with a bound of its own."""
    return finding(check, by_image([1.0] * 8), bound=0.5, verdict=verdict, **more)


def tolerant(check: str, **more) -> Finding:
    return finding(check, by_image([1.0] * 8), max_drop=0.2, tolerance="share", **more)


def gate(fail_on=None, inconclusive=None, **more) -> Gate:
    return Gate(baseline="parent.json", fail_on=fail_on, inconclusive=inconclusive, **more)


class TestWhatIsRed:
    @pytest.mark.parametrize(
        ("fail_on", "red"),
        [
            ("regression", {"shown"}),
            (None, {"shown"}),
            ("not-excluded", {"shown", "open", "poor"}),
            ("absolute", {"broken"}),
            ("both", {"shown", "broken"}),
        ],
    )
    def test_by_what_the_gate_judges(self, fail_on, red):
        checks = [tolerant(name) for name in ("shown", "open", "kept", "poor", "unseen")]
        checks += [bound("broken", Verdict.FAIL), tolerant("warns", severity=Severity.WARN)]
        comparison = against(
            change("shown", Outcome.SHOWN),
            change("open", Outcome.UNDECIDED),
            change("kept", Outcome.EXCLUDED),
            change("poor", Outcome.NOT_COMPARED),
            change("unseen", Outcome.NOT_COMPARED, before=None),
            change("warns", Outcome.SHOWN, severity=Severity.WARN),
        )
        decision = decide(checks, comparison, gate(fail_on))
        assert set(decision.red) == red
        assert decision.verdict is Verdict.FAIL
        assert decision.impossible == ""
        for one in checks:
            found = [c for c in comparison.changes if c.check == one.check]
            assert decides(one, found, gate(fail_on)) == (one.check in red)

    def test_an_expected_failure_is_not_red_and_a_strict_pass_is(self):
        comparison = against(change("a", Outcome.SHOWN), change("b", Outcome.EXCLUDED))
        failed, must = (
            dataclasses.replace(tolerant(name), expectation=what)
            for name, what in (("a", Expectation.FAILED), ("b", Expectation.MUST_FAIL))
        )
        assert decide([failed, must], comparison, GATE).red == ["b"]
        only = decide([failed], comparison, GATE)
        assert (only.red, only.verdict) == ([], Verdict.PASS)
        assert "1 failed as expected: a" in only.headline

    def test_an_anchor_is_judged_too(self):
        parent = against(change("a", Outcome.EXCLUDED))
        anchor = against(change("a", Outcome.SHOWN, short="a fell by 2 bits"), anchor=True)
        decision = decide([tolerant("a")], [parent, anchor], GATE)
        assert decision.red == ["a"]
        assert decision.stands == {"a": Verdict.FAIL}
        assert "against the anchor: a fell by 2 bits" in decision.headline
        assert decide([tolerant("a")], [parent], GATE).red == []


class TestUndecided:
    OPEN = against(change("a", Outcome.UNDECIDED), change("b", Outcome.EXCLUDED))

    def test_it_warns_by_default_and_fails_when_told_to(self):
        checks = [tolerant("a"), tolerant("b")]
        warned = decide(checks, self.OPEN, GATE)
        assert (warned.verdict, warned.red, warned.undecided) == (Verdict.PASS, [], ["a"])
        assert "1 of 2 deciding checks stayed undecided: a" in warned.headline
        failed = decide(checks, self.OPEN, gate(inconclusive="fail"))
        assert (failed.verdict, failed.red, failed.undecided) == (Verdict.FAIL, [], ["a"])
        assert failed.headline.startswith(
            "None of 2 deciding checks failed, but 1 stayed undecided: a."
        )
        assert decides(tolerant("a"), self.OPEN.changes[0], gate(inconclusive="fail"))
        assert not decides(tolerant("a"), self.OPEN.changes[0], GATE)

    def test_it_may_be_allowed(self):
        checks = [tolerant("a", allow_inconclusive=True), tolerant("b")]
        decision = decide(checks, self.OPEN, gate(inconclusive="fail"))
        assert (decision.undecided, decision.verdict) == ([], Verdict.PASS)

    def test_bounds_without_a_baseline_as_ever(self):
        checks = [bound("a", Verdict.INCONCLUSIVE), bound("b", Verdict.PASS)]
        decision = decide(checks)
        assert (decision.verdict, decision.undecided) == (Verdict.FAIL, ["a"])
        assert decision.headline == (
            "None of 2 deciding checks failed, but 1 stayed undecided: a (whole answer, inconclusive). "
            "More images would decide."
        )


class TestImpossible:
    def test_what_was_asked_otherwise(self):
        comparison = against(
            change("a", Outcome.SHOWN), mismatch=["lens: raw here, normed in the baseline"]
        )
        decision = decide([tolerant("a")], comparison, GATE)
        assert "lens: raw here, normed in the baseline" in decision.impossible
        assert "baseline_allow_mismatch" in decision.impossible
        assert decision.verdict is Verdict.FAIL
        allowed = decide([tolerant("a")], comparison, gate(baseline_allow_mismatch=True))
        assert (allowed.impossible, allowed.red) == ("", ["a"])
        assert "compared although they differ: lens: raw here" in allowed.headline

    def test_a_deciding_check_that_is_gone(self):
        comparison = against(change("a", Outcome.EXCLUDED), gone=["b"])
        assert "are no more: b" in decide([tolerant("a")], comparison, GATE).impossible
        # What is shown stays shown.
        shown = against(change("a", Outcome.SHOWN), gone=["b"])
        assert decide([tolerant("a")], shown, GATE).impossible == ""
        assert "b" in decide([tolerant("a")], shown, GATE).headline

    def test_nothing_that_could_be_compared(self):
        none = against(change("a", Outcome.NOT_COMPARED, sentence="a is not compared: no answer"))
        decision = decide([tolerant("a")], none, GATE)
        assert decision.impossible == (
            "no deciding check could be held against the baseline: a is not compared: no answer."
        )
        assert "max_drop" in decide([bound("a", Verdict.PASS)], against(), GATE).impossible

    def test_too_few_images_even_for_a_total_loss(self):
        for images in (0, 4):
            probes = answers([True] * images)
            same = side([right(probes), advantage([5.0] * images)], probes)
            found = compare(same, same)
            assert "shared images: " in decide(same.findings, found, GATE).impossible
            allowed = decide(same.findings, found, gate(baseline_allow_mismatch=True))
            assert "no deciding check could be held against" in allowed.impossible


class TestLeftOut:
    def test_deciding_checks_that_were_not_run_are_named(self):
        comparison = against(change("a", Outcome.EXCLUDED), change("b", Outcome.SHOWN))
        decision = decide([tolerant("a")], comparison, GATE, left_out=[tolerant("b")])
        assert decision.verdict is Verdict.PASS
        assert decision.headline.endswith("; 1 of 2 deciding checks was run, left out: b.")
        bounds = decide(
            [bound("a", Verdict.PASS), bound("c", Verdict.PASS)],
            left_out=[bound("b", Verdict.FAIL), bound("d", Verdict.FAIL, severity=Severity.WARN)],
        )
        assert bounds.headline == (
            "2 of 2 deciding checks passed, none failed; 2 of 3 deciding checks were run, left out: b."
        )

    def test_only_what_was_run_is_judged(self):
        comparison = against(change("a", Outcome.NOT_COMPARED), change("b", Outcome.EXCLUDED))
        decision = decide([tolerant("a")], comparison, GATE, left_out=[tolerant("b")])
        assert (decision.impossible, decision.verdict) == ("", Verdict.FAIL)
        assert decision.headline.startswith("Nothing could be judged")


class TestWithoutABaseline:
    def test_checks_that_need_one_do_not_turn_green(self):
        decision = decide([tolerant("a"), tolerant("b")])
        assert decision.verdict is Verdict.FAIL
        assert "a, b are held against a baseline alone" in decision.headline

    def test_descriptions_are_no_deciding_checks(self):
        described = finding("seen", by_image([1.0] * 8))
        decision = decide([described])
        assert (decision.verdict, decision.headline) == (
            Verdict.PASS,
            "No deciding check was run: 1 check described.",
        )
        both = decide([described, bound("a", Verdict.PASS)])
        assert both.headline == "1 of 1 deciding check passed, none failed."


class TestTheSentence:
    def test_what_is_fed_comes_before_any_number(self):
        before, now = answers([True] * 20 + [False] * 4), answers([True] * 9 + [False] * 15)
        values = [5.0 + 0.5 * (-1) ** i for i in range(24)]
        fed = {**FED, "processor": {**FED["processor"], "image_mean": [0.5, 0.5, 0.5]}}
        comparison = compare(
            side([right(now), advantage([v - 3 for v in values])], now, fed=fed),
            side([right(before), advantage(values)], before),
        )
        said = verdict_sentence(comparison)
        first, *rest = said.split("; ")
        assert first == "processor image_mean differs"
        assert rest[:2] == ["11 of 24 answers changed", "right answers fell from 20 to 9"]
        assert rest[2].startswith("the image's advantage fell by 3.0 bits [")
        headline = decide([right(now), advantage(values)], comparison, GATE).headline
        assert (
            headline
            == f"2 of 2 deciding checks did not pass (right_answers, image_informs): {said}."
        )

    def test_many_settings_are_counted(self):
        fed = [FedDifference(what=f"processor: s{i}", here="1", there="2") for i in range(6)]
        assert verdict_sentence(against(fed=fed)) == (
            "processor s0, processor s1, processor s2 and 3 more settings differ"
        )
        assert verdict_sentence(against()) == "nothing was compared"
