"""The section of hidden states: curves, the guitar in words, and pictures that stay small."""

from __future__ import annotations

import dataclasses
import re

import pytest

from lvlm_audit.document import CommonStep, Plane, StateMap
from lvlm_audit.report import html
from lvlm_audit.report.drawing.band_chart import band_chart
from lvlm_audit.report.drawing.maps import map_view
from tests.report import documents
from tests.report.pages import read


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path)]


def test_the_guitar_is_told_in_numbers_and_words() -> None:
    text = read(html.render(documents.audit())).text
    assert "Neck 0.03 [0.02, 0.04] Body 0.2 [0.19, 0.21] Fan-out state 24 [24, 24]" in text
    assert "asked “ Describe the picture. ”" in text or "asked “Describe the picture.”" in text
    assert "92 % [90 %, 94 %]" in text
    assert "chance would give 0.85 %" in text
    assert "distances between its clusters, their sizes and their gaps mean nothing" in text
    assert "48% of the variance" in text


def test_what_was_not_measured_is_not_shown() -> None:
    assert 'id="features"' not in html.render(documents.audit(features=None))
    reading = dataclasses.replace(
        documents.features(), common_step=None, continuity=None, curves=[], maps=[]
    )
    text = read(html.render(documents.audit(features=reading))).text
    assert "too few eligible tokens" in text
    assert "Many images, one token" not in text
    step = CommonStep("?", "", 4, "inconclusive", "4 images are too few.", {}, [])
    reading = dataclasses.replace(documents.features(), common_step=step)
    text = read(html.render(documents.audit(features=reading))).text
    assert "4 images are too few." in text
    assert "Fan-out state" not in text


def test_a_map_draws_every_state_once() -> None:
    view = map_view(documents.state_map("tokens", 5, 30))
    assert view is not None
    assert [d.words for d in view.depths] == [
        "states 0–4", "states 5–9", "states 10–14", "states 15–19", "states 20–24", "states 25–29",
    ]  # fmt: skip
    for plane in view.planes:
        assert sum(len(points(d)) for _, d in plane.dots) == 5 * 30
        assert len(points(plane.last)) == 5
        # The last state is drawn, but no path leads to it.
        assert len(points(plane.ways)) == 5 * 30
        assert plane.ways.count("M") == 5
        assert all(0 <= v <= plane.side for p in points(plane.ways) for v in p)


def test_names_do_not_lie_on_each_other() -> None:
    view = map_view(documents.state_map("images", 40, 30))
    assert view is not None
    for plane in view.planes:
        places = sorted((y, x) for x, y, _ in plane.ends)
        assert 1 <= len(places) < 40
        for i, (y, x) in enumerate(places):
            assert all(abs(y - b) > 11 or abs(x - a) > 90 for b, a in places[:i])


@pytest.mark.parametrize("blocks", [1, 2, 5, 6, 80])
def test_maps_of_any_depth(blocks: int) -> None:
    view = map_view(documents.state_map("tokens", 3, blocks))
    assert view is not None
    assert len(view.depths) == min(6, blocks)
    assert sum(len(points(d)) for _, d in view.planes[0].dots) == 3 * blocks


@pytest.mark.parametrize(
    "plane",
    [Plane("PCA", "", [], []), Plane("PCA", "", [[1, 2]], [[1]]), Plane("PCA", "", [[]], [[]])],
)
def test_a_map_that_cannot_be_drawn_is_left_out(plane: Plane) -> None:
    assert map_view(StateMap("tokens", "p", ["a"], [plane])) is None


def test_a_curve_below_zero_has_an_axis_that_goes_there() -> None:
    low, high = documents.features().curves[1], documents.features().curves[0]
    assert band_chart(low).y.low < -0.19
    assert band_chart(high).y.low == 0


def test_two_maps_of_600_states_stay_below_100_kilobytes() -> None:
    maps = [documents.state_map("tokens", 19, 30), documents.state_map("images", 19, 30)]
    without = dataclasses.replace(documents.features(), maps=[])
    with_maps = dataclasses.replace(documents.features(), maps=maps)
    sizes = [len(html.render(documents.audit(features=f))) for f in (without, with_maps)]
    assert sizes[1] - sizes[0] < 100_000
