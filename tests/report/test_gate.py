"""What the page says of the gate: order, outcomes, drawings, ties, descriptions, what was left out."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from lvlm_audit.document import Audit, Change, Interval, Outcome, Severity, Stage, Verdict
from lvlm_audit.report import html
from lvlm_audit.report.against import overall
from lvlm_audit.report.drawing.moved_curve import moved_chart
from lvlm_audit.report.drawing.whisker import change_whisker
from lvlm_audit.report.select import select
from lvlm_audit.report.verdicts import of_audit
from tests.report import documents, gate_documents
from tests.report.pages import read

EXAMPLE = Path(__file__).parents[2] / "reports" / "example.json"


def part(audit: Audit, name: str) -> str:
    """One section's text."""
    rendered = html.render(audit)
    start = rendered.index(f'<section id="{name}"')
    return read(rendered[start : rendered.index("</section>", start) + len("</section>")]).text


def head(audit: Audit) -> str:
    rendered = html.render(audit)
    return read(rendered[: rendered.index("<main>")] + "</body></html>").text


def in_order(text: str, *wanted: str) -> None:
    at = -1
    for one in wanted:
        found = text.find(one, at + 1)
        assert found >= 0, f"{one!r} is missing, or stands before what it must follow"
        at = found


def test_the_section_is_read_from_verdict_to_what_merely_moved() -> None:
    in_order(
        part(gate_documents.red(), "comparison"),
        "Against the baseline",
        "loss shown A loss beyond what is tolerated is shown in 2 of 4 deciding checks: right answers "
        "fell from 20 to 9; the image's advantage fell by 2.9 [1.0, 4.8] bits. The others: 1 undecided, 1 "
        "not compared.",
        "processor: image_mean: [0.5, 0.5, 0.5] here, [0.48, 0.457, 0.408] in the baseline",
        "chat template: USER: {q} here, <user>{q}</user> in the baseline",
        "right_answers ✗ loss shown fails the run 83.3 % 37.5 % −45.8 points [−67, −21] tolerated −10 points",
        "24 right answers fell from 20 to 9 of 24 (11 lost, none gained)",
        "wrong_words ? undecided",
        "reference_bits – not compared — — — —",
        "image_informs ✗ loss shown fails the run 5 2.1 −2.9 [−4.8, −1.04]",
        "Right answers: 11 lost, 0 gained",
        "13 of 24 answers changed (2 ties not counted).",
        "scene-0000 right before, wrong now Two green tomatoes and a sun. Two green tomatoes and a blue leaf.",
        "8 more are not shown here",
        "Ties: rounding alone may decide here",
        "2 answers first differ",
        "scene-0013 Yes, I see a leaf. No, I do not see a leaf.",
        "Gone: deciding checks that were applicable in the baseline and are no more: levels_agree.",
        "New: checks that the baseline does not have: late_switches.",
        "Conditions that differ (2)",
        "What merely moved (3)",
        "settle state states 23.2 24.1 +0.85 [+0.4, +1.3]",
        "Where in the depth they differ",
        "clear of 0 first at state 22; 24 images",
        "nowhere clear of 0",
        "clear of 0 from 73.3 % of the depth on",
    )


def test_a_mismatch_of_the_contract_stands_before_any_number() -> None:
    text = part(gate_documents.mismatched(), "comparison")
    in_order(
        text,
        "No loss beyond what is tolerated is shown; of 2 deciding checks: 2 not compared.",
        "Asked differently",
        "lens: normed here, raw in the baseline",
        "shared images: none, and 6 are needed",
        "What decides",
    )


def test_the_anchor_has_the_same_section_of_its_own() -> None:
    audit = gate_documents.anchored()
    text = part(audit, "anchor")
    in_order(
        text, "Against the anchor", "loss shown", "The anchor: first", "here,", "in the anchor"
    )
    assert "baseline" not in text.replace("in the baseline does", "")
    in_order(head(audit), "Against the baseline parent:", "Against the anchor first:")
    assert 'id="anchor"' not in html.render(gate_documents.red())


def test_words_that_differ_are_marked_on_both_sides() -> None:
    rendered = html.render(gate_documents.red())
    assert "Two green tomatoes and a <mark>sun.</mark>" in rendered
    assert "Two green tomatoes and a <mark>blue leaf.</mark>" in rendered


def test_only_five_changed_answers_and_many_settings_are_listed_and_the_rest_is_counted() -> None:
    text = part(gate_documents.red(), "comparison")
    assert [f"scene-{i:04d}" for i in range(15) if f"scene-{i:04d} right" in text] == [
        f"scene-{i:04d}" for i in range(5)
    ]
    assert "12 settings more are in the JSON document." in part(
        gate_documents.fed_differently(), "comparison"
    )


def one_change(outcome: Outcome, **values: object) -> Change:
    return dataclasses.replace(gate_documents.change("a", outcome), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("outcomes", "worst", "sentence"),
    [
        ("eeee", Outcome.EXCLUDED, "is excluded in all 4 deciding checks."),
        ("e", Outcome.EXCLUDED, "is excluded in the one deciding check."),
        ("ese", Outcome.SHOWN, "is shown in 1 of 3 deciding checks: a fell. The others: 2 excluded."),
        ("s", Outcome.SHOWN, "is shown in 1 of 1 deciding check: a fell."),
        ("eu", Outcome.UNDECIDED, "is shown; of 2 deciding checks: 1 undecided, 1 excluded."),
        ("en", Outcome.NOT_COMPARED, "is shown; of 2 deciding checks: 1 not compared, 1 excluded."),
        ("", Outcome.NOT_COMPARED, "No deciding check is held against this baseline"),
    ],
)  # fmt: skip
def test_one_sentence_says_the_worst_and_counts_the_rest(
    outcomes: str, worst: Outcome, sentence: str
) -> None:
    kinds = {
        "e": Outcome.EXCLUDED, "s": Outcome.SHOWN, "u": Outcome.UNDECIDED, "n": Outcome.NOT_COMPARED,
    }  # fmt: skip
    changes = [one_change(kinds[letter], short="a fell") for letter in outcomes]
    # A check of severity warn has its row, and no part in the sentence.
    changes.append(one_change(Outcome.SHOWN, severity=Severity.WARN))
    got, said = overall(gate_documents.comparison(changes=changes))
    assert got is worst
    assert sentence in said


def test_the_head_names_the_regression_family_first_and_what_bounds_say_after() -> None:
    in_order(
        head(gate_documents.red()),
        "✗ fail",
        "4 of 5 deciding checks were run. Left out: image_kept_late.",
        "Against the baseline parent:",
        "✗ loss shown right answers fell from 20 to 9 (right_answers)",
        "✗ loss shown the image's advantage fell",
        "? undecided wrong words rose by 7 points",
        "– not compared reference_bits is not compared: no image in common",
        "Beyond its own bound, or undecided about it, which decides nothing here: ✗ beats_distractor (fail).",
        "Severity warn, not passed: ? image_kept (inconclusive).",
        "3 pass",
        "and 7 descriptions",
    )
    assert "Severity error, not passed" not in head(gate_documents.red())


def test_without_a_gate_a_baseline_decides_nothing_and_bounds_do() -> None:
    audit = dataclasses.replace(gate_documents.red(), gate=None)
    text = head(audit)
    assert "(decides nothing in this run)" in text
    assert "Severity error, not passed: ✗ beats_distractor (fail)." in text
    assert "were run" not in text


def test_undecided_has_its_word_and_its_exit_code() -> None:
    audit = gate_documents.undecided()
    assert of_audit(audit).word == "inconclusive"
    assert "Undecided: exit code 6." in head(audit)
    tolerated = gate_documents.undecided("warn")
    assert of_audit(tolerated).word == "pass"
    assert "exit code" not in head(tolerated)
    assert "? undecided" in head(tolerated)
    assert of_audit(gate_documents.red()).word == "fail"
    assert of_audit(gate_documents.unchanged()).word == "pass"
    said = dataclasses.replace(audit, verdict=Verdict.INCONCLUSIVE)
    assert of_audit(said).word == "inconclusive"


def test_not_excluded_fails_by_what_is_undecided() -> None:
    audit = gate_documents.undecided()
    assert audit.gate is not None
    gate = dataclasses.replace(
        audit.gate, fail_on="not-excluded", red=[gate_documents.RIGHT], undecided=[]
    )
    audit = dataclasses.replace(audit, gate=gate)
    assert of_audit(audit).word == "fail"
    assert "right_answers ? undecided fails the run" in part(audit, "comparison")
    assert "image_informs ? undecided fails" not in part(audit, "comparison")


def test_a_pass_in_which_nothing_could_fail_is_none() -> None:
    audit = gate_documents.unchanged()
    assert audit.comparison is not None
    none = dataclasses.replace(audit, comparison=dataclasses.replace(audit.comparison, changes=[]))
    assert of_audit(none).word == "nothing decides"


def test_descriptions_stand_apart_without_mark_and_bound() -> None:
    audit = gate_documents.red()
    text = part(audit, "descriptions")
    for finding in audit.findings:
        assert (finding.check in text) == (finding.bound.value is None)
    assert "41 % of tokens" in text
    assert "[32.8 %, 49.2 %]" in text
    assert "Bound" not in text
    assert "Speaks most against" not in text
    assert not re.search(r"[✓✗] (pass|fail)", text)
    in_order(
        text, "right_answers", "Against the baseline: ✗ loss shown", "late_switches", "not_seen"
    )
    whole = html.render(audit)
    assert "≥ —" not in whole
    assert "≤ —" not in whole
    cards = re.findall(r'<article class="finding[^>]*data-verdict="(\w+)"', whole)
    assert cards.count("none") == 6
    assert 'id="descriptions"' not in html.render(documents.audit())


def test_a_suite_of_descriptions_alone_has_no_check() -> None:
    only = [gate_documents.description("a", Stage.MUTATION, 0.4, "share of tokens")]
    audit = documents.audit(findings=only)
    assert "No check holds these answers against a bound" in html.render(audit)
    assert "Findings none and 1 description" in head(audit)


def test_a_description_of_levels_is_not_said_to_judge() -> None:
    levels = gate_documents.description("level_gap", Stage.WHOLE_ANSWER, 0.05, "share of depth")
    levels = dataclasses.replace(levels, declared={"property": "LevelGap"})
    text = read(html.render(documents.audit(findings=[levels]))).text
    assert "level_gap describes how far they are apart: 5 % of the depth." in text
    assert "says: described" not in text


def test_a_notebook_tells_descriptions_losses_and_what_was_left_out() -> None:
    text = read(gate_documents.red()._repr_html_()).text
    in_order(
        text,
        "4 of 5 deciding checks were run. Left out: image_kept_late.",
        "Against the baseline parent:",
        "✗ loss shown right answers fell from 20 to 9 (right_answers)",
        "described late_switches",
        "41 % [32.8 %, 49.2 %] none; in of tokens",
    )
    assert "≥ —" not in text
    assert "inconclusive" in read(gate_documents.undecided()._repr_html_()).text[:200]


def test_results_by_kind_stand_where_kinds_exist() -> None:
    text = part(gate_documents.red(), "probes")
    in_order(
        text,
        "Results by kind of question",
        "naming 7 — — — 10 of 14",
        "colour 7 5 of 7 71.4 % [",
        "yes/no 3 3 of 3 100 % too few images 5 of 6",
    )
    assert "Results by kind" not in html.render(documents.audit())


def test_rounding_is_one_line_of_the_provenance() -> None:
    text = part(gate_documents.red(), "provenance")
    assert (
        "Rounding alone moves a last margin by up to 0.0123 bits (the same tokens fed anew in 2 other "
        "ways: batch of 1, 1 thread; batch of 8, 2 threads; 4 probes, 61 tokens). An answer that first "
        "differs where both margins are smaller is a tie: 2 answers against the baseline."
    ) in text
    assert "2 answers against the baseline and 2 answers against the anchor" in part(
        gate_documents.anchored(), "provenance"
    )
    assert "Rounding" not in part(documents.audit(), "provenance")


def test_a_change_is_drawn_against_what_is_tolerated() -> None:
    fell = gate_documents.worse()[0]
    drawn = change_whisker(fell)
    assert drawn is not None
    assert drawn.dot is not None
    assert drawn.zero is not None
    assert drawn.bound is not None
    assert drawn.low is not None
    assert drawn.high is not None
    assert drawn.low < drawn.dot < drawn.high < drawn.bound < drawn.zero
    assert (drawn.holds_from, drawn.holds_to) == (drawn.bound, drawn.end)
    assert {tick.label for tick in drawn.ticks} >= {"−60", "0"}, "points, not per cent of anything"
    rose = change_whisker(gate_documents.worse()[1])
    assert rose is not None
    assert rose.zero is not None
    assert rose.bound is not None
    assert rose.dot is not None
    assert rose.zero < rose.dot < rose.bound
    assert (rose.holds_from, rose.holds_to) == (rose.start, rose.bound)
    assert change_whisker(gate_documents.worse()[2]) is None
    still = dataclasses.replace(fell, change=0.0, interval=None, limit=None)
    assert (none := change_whisker(still)) is not None
    assert none.bound is None
    assert none.holds_to == none.holds_from


def test_curves_have_0_in_the_middle_and_the_first_state_outside() -> None:
    chart = moved_chart(gate_documents.curve("c", "bits", "state"))
    assert chart.y(0) == pytest.approx((chart.y.start + chart.y.end) / 2)
    assert chart.start == chart.x(22)
    assert chart.difference.startswith(f"M{chart.x(1):g} "), "the first state has no value"
    assert moved_chart(gate_documents.curve("c", "bits", "state", moves=False)).start is None


def test_what_fell_most_is_drawn_first() -> None:
    audit = gate_documents.red(probes=40)
    chosen = select(audit)
    assert [p.id for p in chosen.full[:2]] == ["scene-0001", "scene-0003"]


def test_gates_read_back_from_json_give_the_same_page() -> None:
    for audit in (gate_documents.anchored(), gate_documents.undecided()):
        assert html.render(Audit.from_json(audit.to_json())) == html.render(audit)


def test_a_page_of_a_long_comparison_stays_small() -> None:
    audit = gate_documents.red()
    assert audit.comparison is not None
    moved = audit.comparison.differences[0]
    long = dataclasses.replace(
        audit.comparison,
        fed=gate_documents.FED * 500,
        differences=[moved] * 2000,
        conditions=audit.comparison.conditions * 500,
        answers=gate_documents.changed(4000, 1000),
        mismatch=["other probes"] * 500,
        gone=["a"] * 500,
        new=["b"] * 500,
    )
    small = html.render(audit)
    large = html.render(dataclasses.replace(audit, comparison=long))
    assert len(large) < len(small) + 300_000
    text = part(dataclasses.replace(audit, comparison=long), "comparison")
    for left in (
        "1940 more in the JSON",
        "940 more in the JSON",
        "440 more in the JSON",
        "and 440 more.",
    ):
        assert left in text


def test_the_example_of_an_older_version_still_renders() -> None:
    audit = Audit.load(EXAMPLE)
    assert audit.gate is None
    text = read(html.render(audit)).text
    assert audit.headline in text
    for finding in audit.findings:
        assert finding.check in text


def odd(**values: object) -> Audit:
    """The worse audit with other parts of its comparison."""
    audit = gate_documents.red()
    assert audit.comparison is not None
    return dataclasses.replace(audit, comparison=dataclasses.replace(audit.comparison, **values))  # type: ignore[arg-type]


def test_an_anchor_alone_is_shown() -> None:
    audit = dataclasses.replace(gate_documents.anchored(), comparison=None)
    in_order(head(audit), "Against the anchor first:", "✗ loss shown right answers fell")
    assert "Against the anchor: ✗ loss shown" in part(audit, "descriptions")
    assert 'id="comparison"' not in html.render(audit)


def test_an_undecided_loss_says_how_many_images_would_decide_it() -> None:
    assert "rose by 7 points; about 72 images would decide" in head(gate_documents.red())


def test_numbers_at_the_end_of_all_numbers_are_drawn() -> None:
    """Ticks of an axis without a finite width were counted for ever."""
    wild = gate_documents.change("a", Outcome.SHOWN, interval=Interval(-1e308, 1e308, 0.95, "t"))
    still = gate_documents.change("a", Outcome.SHOWN, change=0.0, limit=0.0, interval=None)
    tiny = gate_documents.change("a", Outcome.SHOWN, change=-1e-308, limit=-1e-308, interval=None)
    read(html.render(odd(changes=[wild, still, tiny])))
    curve = gate_documents.curve("c", "bits", "state")
    read(html.render(odd(curves=[
        dataclasses.replace(curve, difference=[1e300, -1e300, None], low=[-1e308] * 3, high=[1e308] * 3),
        dataclasses.replace(curve, at=[], difference=[], low=[], high=[], starts=None),
    ])))  # fmt: skip


def test_what_a_comparison_may_lack_breaks_nothing() -> None:
    worst, answers = gate_documents.worse()[0], gate_documents.changed()
    bare = dataclasses.replace(worst, short="", sentence="", check="", gained=None)
    assert "Right answers: 11 lost ()." in part(odd(changes=[bare]), "comparison")
    assert "13 of 24 answers changed" in part(
        odd(answers=dataclasses.replace(answers, examples=[], floor=None)), "comparison"
    )
    assert "Answers that changed" not in part(odd(answers=None), "comparison")
