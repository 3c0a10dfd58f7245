"""Heat maps as PNG, and which images the page trusts."""

from __future__ import annotations

import base64
import io
import itertools

import pytest
from PIL import Image

from lvlm_audit.report import thumbnails
from lvlm_audit.report.drawing import heat_map, raster
from tests.report import documents


def test_another_decoder_reads_every_cell_back() -> None:
    rows = [[0, 100, 254], [255, 1, 2]]
    picture = Image.open(io.BytesIO(raster.png(rows))).convert("RGB")
    assert picture.size == (3, 2)
    for y, row in enumerate(rows):
        for x, place in enumerate(row):
            expected = (150, 150, 150) if place == 255 else raster.ramp(255)[place]
            assert picture.getpixel((x, y)) == expected


def test_the_ramp_darkens_in_even_steps() -> None:
    lightness = [raster.oklab(colour)[0] for colour in raster.ramp(32)]
    steps = [a - b for a, b in itertools.pairwise(lightness)]
    assert min(steps) > 0
    assert max(steps) < 2.5 * min(steps)


def test_the_square_root_scale_is_monotone_and_marks_missing_values() -> None:
    places = [raster.shade(v / 100) for v in range(101)]
    assert places == sorted(places)
    assert (places[0], places[25], places[100]) == (0, 127, 254)
    assert raster.shade(None) == raster.shade(float("nan")) == 255
    assert raster.shade(-1.0) == 0
    assert raster.shade(3.0) == 254


def test_a_picture_needs_equal_rows() -> None:
    for rows in ([], [[]], [[1], [1, 2]]):
        with pytest.raises(ValueError, match="picture"):
            raster.png(rows)


def test_the_heat_map_has_one_pixel_for_each_token_and_transition() -> None:
    probe = documents.probe(1)
    heat = heat_map.heat_map(probe)
    assert heat is not None
    data = base64.b64decode(heat.image.partition(",")[2])
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    assert picture.size == (30, len(probe.tokens))
    value = probe.tokens[2].divergence[27]
    assert picture.getpixel((27, 2)) == raster.ramp(255)[raster.shade(value)]


@pytest.mark.parametrize(
    "uri",
    [
        None,
        "",
        "http://evil.example/x.png",
        "data:image/svg+xml;base64,PHN2Zz4=",
        "data:text/html;base64,PGI+",
        'data:image/png;base64,AAAA" onload="x',
        "data:image/png;base64,AAAA\n",
        "data:image/png,%89PNG",
        " data:image/png;base64,AAAA",
        "DATA:image/png;base64,AAAA",
        "data:image/png;base64," + "A" * 400_000,
    ],
)
def test_only_small_raster_images_are_trusted(uri: str | None) -> None:
    assert thumbnails.trusted_image(uri) is None


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_thumbnails_are_trusted(kind: str) -> None:
    uri = f"data:image/{kind};base64,AAAA"
    assert thumbnails.trusted_image(uri) == uri
