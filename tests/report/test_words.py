"""Numbers and hostile text in words."""

from __future__ import annotations

import dataclasses
import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.document import Bound, Interval, Node, Stage, Verdict
from lvlm_audit.report import words
from tests.report import documents


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "—"),
        (math.nan, "—"),
        (math.inf, "—"),
        (0.0, "0"),
        (-0.0, "0"),
        (0.5, "0.5"),
        (0.0712, "0.0712"),
        (0.00412345, "0.00412"),
        (12.0, "12"),
        (1234.5, "1234"),
        (-0.045, "−0.045"),
        (3.2e-9, "3.20e−09"),
        (24, "24"),
    ],
)
def test_numbers_in_plain_notation(value: float | None, expected: str) -> None:
    assert words.number(value) == expected


@given(st.floats(-1e300, 1e300) | st.sampled_from([math.nan, math.inf, -math.inf]))
def test_a_number_reads_back_to_three_digits(value: float) -> None:
    text = words.number(value)
    if not math.isfinite(value):
        assert text == "—"
    else:
        assert float(text.replace("−", "-")) == pytest.approx(value, rel=5.1e-3, abs=1e-300)


def test_shares_are_per_cent_and_never_break_before_the_sign() -> None:
    assert words.share(0.8333) == "83.3\u00a0%"
    assert words.share(None) == "—"
    assert words.change(-0.045, "share of images") == "−4.5 points"
    assert words.change(0.0062, "bits") == "+0.0062"


def test_a_value_beyond_its_bound_never_prints_like_the_bound() -> None:
    near = documents.finding(
        "near", Stage.MUTATION, Verdict.FAIL, 0.69996, Bound(">=", 0.7, "share of images")
    )
    near = dataclasses.replace(near, interval=Interval(0.6999, 0.70001, 0.95, "wilson"))
    got = words.figures(near)
    assert got.bound == "70\u00a0%"
    assert got.observed == "69.996\u00a0%"
    assert got.low == "69.99\u00a0%"
    assert got.high == "70.001\u00a0%"


def test_intervals_and_nodes_in_words() -> None:
    assert words.interval_words(Interval(0, 1, 0.95, "wilson", True)) == (
        "95\u00a0% Wilson interval, adjusted for the family of checks (Holm)"
    )
    assert "too few" in words.interval_words(Interval(0, 1, 0.95, "full range"))
    assert words.node_words(Node(23.5, Interval(22, 25, 0.95, "x"), 1, 0)) == "23.5 [22, 25]"
    assert (
        words.node_words(Node(None, None, None, 0.4)) == "undefined (40\u00a0% of tokens have none)"
    )
    assert words.node_words(None) == "—"


@pytest.mark.parametrize(
    ("unit", "after"),
    [
        ("share of images", "of images"),
        ("share of content tokens", "of content tokens"),
        ("share of depth", "of the depth"),
        ("share", ""),
        ("bits", "bits"),
    ],
)
def test_units_are_read_after_their_number(unit: str, after: str) -> None:
    assert words.unit_words(unit) == after


def test_states_as_ranges() -> None:
    assert words.ranges([30, 28, 29, 26]) == "26, 28–30"
    assert words.ranges([]) == "none"


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\u202egnp.exe", "⟨U+202E⟩gnp.exe"),
        ("\x1b[31m", "␛[31m"),
        ("a\u2028b", "a⟨U+2028⟩b"),
        ("a\nb", "a↵b"),
        ("\ud800", "⟨U+D800⟩"),
        ("\U000e0041", "⟨U+E0041⟩"),
        ("\x85\x9b", "⟨U+0085⟩⟨U+009B⟩"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
        ("مرحبا", "مرحبا"),
    ],
)
def test_what_cannot_be_seen_is_written_out(hostile: str, shown: str) -> None:
    assert words.visible(hostile) == shown


@given(st.text(alphabet=st.characters()))
def test_visible_text_holds_nothing_that_controls(text: str) -> None:
    shown = words.visible(text)
    shown.encode("utf-8")
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(c) for c in shown} & {
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"
    }  # fmt: skip
    assert words.visible(shown) == shown


def test_a_tower_of_marks_is_cut_down() -> None:
    assert len(words.visible("e" + "\u0301" * 500)) < 8


@given(st.text(), st.integers(2, 30))
def test_a_token_label_is_never_empty(text: str, limit: int) -> None:
    assert words.token(text, limit)


def test_long_prose_says_how_much_is_left_out() -> None:
    assert words.prose("x" * 5000, 1000).endswith("… (4,000 more characters)")
