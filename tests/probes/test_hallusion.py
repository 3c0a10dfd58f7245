"""HallusionBench's questions, with figures and without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lvlm_audit.probes.readers import read_probes
from tests.probes.files import as_json, pictures, refusal

TEXT = {
    **{"category": "VS", "subcategory": "chart", "visual_input": "0", "set_id": "0"},
    **{"figure_id": "0", "sample_note": "import", "question_id": "0"},
    **{"question": "Is China the leading importer?", "gt_answer_details": "Switzerland is."},
    **{"gt_answer": "0", "filename": None},
}
FIGURE = TEXT | {
    "visual_input": "1",
    "figure_id": "1",
    "filename": "./hallusion_bench/VS/chart/0_1.png",
}
ILLUSION = FIGURE | {
    **{"category": "VD", "subcategory": "illusion", "figure_id": "0", "gt_answer": "1"},
    "filename": "./hallusion_bench/VD/illusion/0_0.png",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(
        tmp_path, "hallusion_bench/VS/chart/0_1.png", "hallusion_bench/VD/illusion/0_0.png"
    )


def test_with_and_without_a_figure(folder: Path) -> None:
    blind, chart, illusion = read_probes(as_json(folder / "HB.json", [TEXT, FIGURE, ILLUSION]))
    assert [p.id for p in (blind, chart, illusion)] == [
        "VS_chart_0_0_0",
        "VS_chart_0_1_0",
        "VD_illusion_0_0_0",
    ]
    assert (blind.image, blind.images, blind.cluster) == (None, (), "VS_chart_0")
    assert blind.labels["undecided_is_right"] is True
    assert blind.labels["expected"] == "no"
    assert blind.answer == "No"
    assert chart.image is not None
    assert chart.cluster == chart.image.digest()
    assert "undecided_is_right" not in chart.labels
    assert illusion.labels["expected"] == "yes"


def test_the_folder_of_figures_may_be_named_itself(folder: Path) -> None:
    rows = [FIGURE, ILLUSION | {"filename": "./VD/illusion/0_0.png"}]
    path = as_json(folder / "HB.json", rows)
    for images in (folder, folder / "hallusion_bench"):
        assert len(read_probes(path, images=images)) == 2


def test_an_uncertain_truth_is_no_label(folder: Path) -> None:
    (probe,) = read_probes(as_json(folder / "HB.json", [FIGURE | {"gt_answer": "2"}]))
    assert "expected" not in probe.labels
    assert probe.answer is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"category": "XX"}, "'category' must be \"VD\" or \"VS\", not text ('XX')"),
        ({"gt_answer": 1}, '\'gt_answer\' must be "0" or "1" or "2", not a number (1)'),
        ({"visual_input": "3"}, "'visual_input' must be"),
        ({"set_id": 0}, "'set_id' must be text, not a number (0). Write it as \"0\"."),
        ({"question_id": "\x1b"}, "'question_id' holds the control character '\\x1b'"),
        ({"question": None}, "'question' must be text, not null"),
        ({"filename": None}, "'filename' must be text, not null"),
        ({"filename": "gone.png"}, "there is no image 'gone.png'"),
        ({"filename": "hallusion_bench"}, "is a folder"),
        ({}, "the id 'VS_chart_0_1_0' is taken already"),
    ],
)
def test_wrong_records(folder: Path, change: dict[str, Any], says: str) -> None:
    message = refusal(as_json(folder / "HB.json", [FIGURE, FIGURE | change]))
    assert says in message
    assert "entry 1: " in message
