"""Geometry: what is drawn stands where the numbers say."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.document import Interval, LayerSummary, Level
from lvlm_audit.report.drawing import (
    axes,
    band_chart,
    heat_map,
    paths,
    ribbon,
    token_chart,
    whisker,
)
from tests.report import documents


def test_a_scale_maps_its_ends_and_holds_what_lies_outside() -> None:
    y = axes.Scale(0, 1, 100, 0)
    assert (y(0), y(0.25), y(1), y(7), y(-3)) == (100, 75, 0, 0, 100)


@given(st.floats(1e-9, 1e9), st.integers(2, 12))
def test_steps_are_round_and_few(span: float, most: int) -> None:
    step = axes.nice_step(span, most)
    assert span / step <= most + 1e-6
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(mantissa - m) for m in (1, 2, 5)) < 1e-6


@given(st.integers(0, 200))
def test_the_last_state_is_always_labelled(last: int) -> None:
    ticks = axes.index_ticks(last, axes.Scale(0, max(1, last), 0, 500))
    assert ticks[-1].label == str(last)
    assert len({t.label for t in ticks}) == len(ticks) <= 12
    assert [t.at for t in ticks] == sorted(t.at for t in ticks)


def test_a_missing_value_is_a_gap_and_never_a_zero() -> None:
    x, y = axes.Scale(0, 4, 0, 40), axes.Scale(0, 1, 10, 0)
    path = paths.line([0.0, 1.0, None, math.nan, 0.5], x, y)
    assert path == "M0 10L10 0M38 5L42 5"
    assert paths.line([None, None], x, y) == ""
    assert paths.area([0, None, 0], [1, 1, 1], x, y).count("Z") == 2


@given(st.lists(st.floats(0, 300), min_size=1, max_size=20))
def test_labels_never_touch_and_stay_inside(wanted: list[float]) -> None:
    placed = token_chart.spread(wanted, 13, 0, 300)
    assert all(-0.05 <= p <= 300.05 for p in placed)
    ordered = sorted(placed)
    assert all(b - a >= 12.8 for a, b in itertools.pairwise(ordered))
    by_wish = [p for _, p in sorted(zip(wanted, placed, strict=True))]
    assert by_wish == ordered


def test_labels_that_do_not_touch_stay_where_they_want() -> None:
    assert token_chart.spread([10, 100, 50], 13, 0, 300) == [10, 100, 50]


def test_the_whisker_shades_the_side_where_the_statement_holds() -> None:
    interval = Interval(0.6, 0.9, 0.95, "wilson")
    up = whisker.whisker(0.75, interval, 0.7, ">=", "share of images")
    assert (up.holds_from, up.holds_to) == (up.bound, up.end)
    assert up.low is not None
    assert up.dot is not None
    assert up.high is not None
    assert up.start < up.low < up.bound < up.dot < up.high < up.end
    down = whisker.whisker(0.75, interval, 0.7, "<=", "share of images")
    assert (down.holds_from, down.holds_to) == (down.start, down.bound)
    assert whisker.whisker(None, None, 0.7, ">=", "bits").dot is None


def test_a_difference_has_no_change_in_the_middle_and_no_good_side() -> None:
    drawn = whisker.whisker(-0.05, None, 0, "", "bits", symmetric=True)
    assert drawn.bound == (drawn.start + drawn.end) / 2
    assert drawn.holds_from == drawn.holds_to


@given(st.floats(-5, 50), st.floats(-5, 50), st.sampled_from(["bits", "probability", "share of x"]))
def test_bound_and_value_are_always_on_the_axis(value: float, bound: float, unit: str) -> None:
    drawn = whisker.whisker(value, None, bound, ">=", unit)
    assert drawn.dot is not None
    assert drawn.start <= min(drawn.dot, drawn.bound) <= max(drawn.dot, drawn.bound) <= drawn.end
    if value > bound + 1 and unit == "bits":
        assert drawn.dot > drawn.bound


def test_curves_of_probabilities_fill_the_unit_and_bits_start_at_zero() -> None:
    rise = LayerSummary("p", "probability", "state", [0.1, 0.2], [0.1, 0.1], [0.2, 0.3])
    assert (band_chart.band_chart(rise).y.low, band_chart.band_chart(rise).y.high) == (0, 1)
    bits = LayerSummary("d", "bits", "transition", [0.1, None], [0, None], [0.37, None])
    assert band_chart.band_chart(bits).y.high == 0.4
    assert band_chart.bar_chart([0, 0.14, 0]).bars[0][2:] == pytest.approx(
        (band_chart.bar_chart([0, 0.14, 0]).bars[0][2], 119.5), abs=0.2
    )


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("three stages", "rapid evolution 0–22, stabilization 23–27, mutation 28–30"),
        ("rise and plateau", "rapid evolution 0–22, stabilization 23–30"),
        ("rise only", "rapid evolution 0–22"),
        ("no such pattern", ""),
        ("inconclusive", ""),
        ("not measured", ""),
    ],
)
def test_bands_follow_the_pattern_and_nothing_is_coloured_without_one(
    pattern: str, expected: str
) -> None:
    level = Level("probability", True, pattern, "", documents.node(23), mutation_states=[28, 29])
    assert ribbon.band_words(ribbon.bands(level, 30)) == expected


def test_a_node_between_two_states_begins_its_stage_at_the_next() -> None:
    level = Level("distribution", True, "rise and plateau", "", documents.node(23.5))
    assert [b.first for b in ribbon.bands(level, 30)] == [0, 24]


def test_the_ribbon_draws_cells_and_nodes_on_the_same_states() -> None:
    drawn = ribbon.ribbon(documents.stages(), 1040)
    rapid, stable, mutation = drawn.rows[0].blocks
    assert (rapid.key, stable.key, mutation.key) == ("rapid", "stable", "mutation")
    cell = (drawn.end - drawn.start) / 31
    assert rapid.x == drawn.start
    assert rapid.width == pytest.approx(23 * cell, abs=0.2)
    critical = next(m for m in drawn.rows[0].marks if m.kind == "critical")
    assert critical.x == pytest.approx(drawn.start + 23.5 * cell, abs=0.2)
    assert critical.low is not None
    assert critical.low < critical.x
    assert drawn.rows[2].words == "not measured"
    assert not drawn.rows[2].blocks


@pytest.mark.parametrize("blocks", [0, 1, 2, 9, 80])
@pytest.mark.parametrize("width", [328, 1040])
def test_the_ribbon_fits_every_depth(blocks: int, width: float) -> None:
    reading = dataclasses.replace(documents.stages(30), blocks=blocks)
    drawn = ribbon.ribbon(reading, width)
    for row in drawn.rows:
        for block in row.blocks:
            assert drawn.start - 0.1 <= block.x
            assert block.x + block.width <= drawn.end + 0.2


def test_token_curves_carry_their_nodes_and_skip_what_is_not_eligible() -> None:
    probe = documents.probe(0)
    drawn = token_chart.token_chart(probe, documents.stages())
    assert drawn is not None
    assert len(drawn.series) == sum(t.eligible for t in probe.tokens)
    assert all(s.label_y is not None for s in drawn.series)
    assert sum(len(s.flips) for s in drawn.series) == sum(len(t.mutations) for t in probe.tokens)
    first = next(s for s in drawn.series if s.title.startswith("banana"))
    token = next(t for t in probe.tokens if t.text == " banana")
    assert token.critical is not None
    assert first.nodes == [(drawn.x(token.critical), drawn.y(token.probability[token.critical]))]


def test_many_tokens_keep_labels_for_content_words_and_count_the_others() -> None:
    drawn = token_chart.token_chart(documents.probe(0, tokens=60), documents.stages())
    assert drawn is not None
    labelled = [s for s in drawn.series if s.label_y is not None]
    assert drawn.unlabelled == len(drawn.series) - len(labelled) > 0
    assert all(s.key != "cx" for s in labelled)


def test_a_probe_without_tokens_has_no_charts() -> None:
    bare = dataclasses.replace(documents.probe(0), tokens=[])
    assert token_chart.token_chart(bare, documents.stages()) is None
    assert heat_map.heat_map(bare) is None
