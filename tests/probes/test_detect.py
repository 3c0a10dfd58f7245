"""Which format a file is taken for, and where it might be two."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.formats.detect import detect
from lvlm_audit.probes.readers import read_probes
from lvlm_audit.probes.source import Source
from tests.probes.files import as_json, as_lines, pictures, refusal

POPE = {"question_id": 1, "image": "a.png", "text": "?", "label": "yes"}
HALLUSION = {
    **{"category": "VD", "subcategory": "map", "visual_input": "1", "set_id": "0"},
    **{
        "figure_id": "0",
        "question_id": "0",
        "question": "?",
        "gt_answer": "1",
        "filename": "a.png",
    },
}


@pytest.mark.parametrize("name", ["probes.json", "probes.jsonl", "probes"])
@pytest.mark.parametrize("array", [False, True])
@pytest.mark.parametrize(
    ("record", "format"),
    [
        (POPE, "pope"),
        ({"id": 1, "image": "a.png", "query": "?"}, "amber"),
        ({"image": "a.png", "prompt": "?"}, "jsonl"),
        (HALLUSION, "hallusion"),
    ],
)
def test_by_content_not_by_name(
    tmp_path: Path, name: str, array: bool, record: dict[str, object], format: str
) -> None:
    path = (as_json if array else as_lines)(tmp_path / name, [record, record])
    assert detect(Source(path)) == format


@pytest.mark.parametrize("indent", [None, 2])
def test_chair_is_one_document(tmp_path: Path, indent: int | None) -> None:
    path = as_json(tmp_path / "x.json", {"overall_metrics": {}, "sentences": []}, indent)
    assert detect(Source(path)) == "chair"


def test_two_formats_at_once_are_asked_about(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png")
    path = as_lines(tmp_path / "p.jsonl", [POPE | {"id": 1, "query": "\x1b?"}])
    message = refusal(path)
    assert "may be pope or amber" in message
    assert "Say which with probe_format" in message
    assert read_probes(path, format="pope")[0].labels["dataset"] == "POPE"


def test_a_jsonl_file_of_no_known_keys_is_ours_and_told_so(tmp_path: Path) -> None:
    message = refusal(as_lines(tmp_path / "p.jsonl", [{"picture": "a.png"}]))
    assert "unknown key 'picture'" in message


def test_another_json_file_is_told_what_it_has(tmp_path: Path) -> None:
    message = refusal(as_json(tmp_path / "p.json", [{"a\x1b": 1, "image": "x"}]))
    assert "Its first record has the keys 'a\\x1b', 'image'" in message


def test_a_format_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="probe_format 'coco' is not one of auto, pope"):
        read_probes(tmp_path, format="coco")  # type: ignore[arg-type]


def test_options_of_files_mean_nothing_for_a_folder(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png")
    assert "so the format 'pope' means nothing here" in refusal(tmp_path, format="pope")
    assert "so an image folder means nothing here" in refusal(tmp_path, images=tmp_path)
