"""POPE's files: lines and arrays, and every record that is not one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lvlm_audit.probes.readers import read_probes
from tests.probes.files import as_json, as_lines, pictures, refusal

ROWS = [
    {"question_id": 1, "image": "a.jpg", "text": "Is there a dog in the image?", "label": "yes"},
    {"question_id": 2, "image": "a.jpg", "text": "Is there a car in the image?", "label": "no"},
    {"question_id": 3, "image": "b.jpg", "text": "Is there a car in the image?", "label": "no"},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path, "a.jpg", "b.jpg", "val/c.jpg")


def test_lines_and_arrays_are_the_same_questions(folder: Path) -> None:
    lines = read_probes(as_lines(folder / "coco_pope_random.json", ROWS))
    array = read_probes(as_json(folder / "gqa_pope_seem_random.json", ROWS, indent=4))
    assert lines == array == read_probes(folder / "coco_pope_random.json", format="pope")
    assert [(p.id, p.prompt, p.answer) for p in lines] == [
        ("1", "Is there a dog in the image?", "Yes"),
        ("2", "Is there a car in the image?", "No"),
        ("3", "Is there a car in the image?", "No"),
    ]
    assert lines[0].labels == {"dataset": "POPE", "kind": "yes_no", "expected": "yes"}
    assert lines[0].cluster == lines[1].cluster != lines[2].cluster


def test_images_in_another_folder(folder: Path) -> None:
    path = as_lines(folder / "pope.jsonl", [{**ROWS[0], "image": "c.jpg"}])
    (probe,) = read_probes(path, images=folder / "val")
    assert probe.image is not None
    assert probe.image.open().getpixel((0, 0))[2] > 200
    assert "there is no image 'c.jpg'" in refusal(path)
    assert "no images at" in refusal(path, images=folder / "nowhere")
    assert "no images at" in refusal(path, images=folder / "a.jpg")


def test_missing_images_are_one_message(folder: Path) -> None:
    gone = [{**ROWS[0], "question_id": i, "image": f"{i}\x1b.jpg"} for i in range(40)]
    message = refusal(
        as_lines(folder / "pope.jsonl", [ROWS[0], *gone, gone[0] | {"question_id": 99}])
    )
    assert (
        "line 2: 40 of 41 images are not there: '0\\x1b.jpg', '1\\x1b.jpg', '2\\x1b.jpg'" in message
    )
    assert "and 37 more" in message
    assert "image_folder" in message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"label": "maybe"}, "'label' must be \"yes\" or \"no\", not text ('maybe')"),
        ({"label": "Yes"}, "'label' must be"),
        ({"label": True}, '\'label\' must be "yes" or "no", not true or false (True)'),
        ({"text": None}, "'text' must be text, not null"),
        ({"text": " \n"}, "'text' is blank (' \\n')"),
        ({"image": ["a.jpg"]}, "'image' must be text, not a list"),
        ({"image": "https://example.org/a.jpg"}, "is a URL"),
        ({"image": "val"}, "the image 'val' is a folder"),
        ({"question_id": 1.5}, "'question_id' must be a whole number or text, not a number (1.5)"),
        ({"question_id": True}, "'question_id' must be a whole number or text"),
        ({"question_id": "a\u202e"}, "'question_id' holds the control character '\\u202e'"),
        ({"question_id": 1}, "the id '1' is taken already"),
        ({"label": "x" * 5000}, "'label' must be"),
    ],
)
@pytest.mark.parametrize("array", [False, True])
def test_wrong_records(folder: Path, change: dict[str, Any], says: str, array: bool) -> None:
    rows = [ROWS[0], {**ROWS[1], **change}]
    path = (as_json if array else as_lines)(folder / "pope.json", rows)
    message = refusal(path)
    assert says in message
    assert ("entry 1: " if array else "line 2: ") in message


@pytest.mark.parametrize("key", ["question_id", "image", "text", "label"])
def test_missing_keys_are_named(folder: Path, key: str) -> None:
    row = {k: v for k, v in ROWS[1].items() if k != key}
    message = refusal(as_lines(folder / "pope.json", [ROWS[0], row]))
    assert f'line 2: the key {key!r} is missing. A record is {{"question_id": 1' in message


def test_further_keys_are_passed_over(folder: Path) -> None:
    assert read_probes(as_lines(folder / "p.json", [{**ROWS[0], "category": "random"}]))


def test_empty_and_broken_files(folder: Path) -> None:
    assert "holds no probes" in refusal(as_json(folder / "p.json", []), format="pope")
    path = folder / "p.json"
    path.write_text('[{"question_id": 1,\n "image" }]')
    assert "line 2, column 10: not valid JSON" in refusal(path, format="pope")
    path.write_text('[{"question_id": 1, "question_id": 2}]')
    assert "the key 'question_id' occurs twice" in refusal(path, format="pope")
    path.write_text("[3]")
    assert "entry 0: must be a JSON object, not a number (3)" in refusal(path, format="pope")
