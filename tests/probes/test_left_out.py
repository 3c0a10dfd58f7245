"""What a record holds beyond its question is read, named in a note or refused: never dropped in silence."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lvlm_audit.probes.probe import Turn
from lvlm_audit.probes.readers import read_probes
from tests.probes.files import as_json, as_lines, pictures, refusal

TEXT = {"type": "text", "text": "What?"}
IMAGE = {"type": "image", "path": "a.png"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path, "a.png", "b.png")


def asked(*parts: Any, **more: Any) -> dict[str, Any]:
    """A record of one turn of the user."""
    return {"messages": [{"role": "user", "content": list(parts)}], **more}


def texts(probes: Any) -> list[str]:
    return [note.text for note in probes.notes]


class TestNamed:
    @pytest.mark.parametrize(
        ("row", "says"),
        [
            (
                {
                    "messages": [
                        {"role": "user", "content": [IMAGE, TEXT], "weight": 0, "name": None}
                    ]
                },
                "left out: what turns hold under: 1 key: 'weight'",
            ),
            (
                {"image": "a.png", "conversations": [{"from": "human", "value": "?", "loss": 1}]},
                "left out: what turns hold under: 1 key: 'loss'",
            ),
            (
                asked({"type": "image_url", "image_url": {"url": "a.png", "detail": "low"}}, TEXT),
                "left out: what parts hold under: 1 key: 'detail'",
            ),
            (
                asked(IMAGE | {"max_pixels": 9}, TEXT),
                "left out: what parts hold under: 1 key: 'max_pixels'",
            ),
            (
                asked(IMAGE, TEXT | {"cache_control": {}}),
                "left out: what parts hold under: 1 key: 'cache_control'",
            ),
            (
                asked(IMAGE, TEXT, category=["ocr", "math"]),
                "left out: what records hold under: 1 key: 'category'",
            ),
            (
                {"image": "a.png", "text": "One?", "question": "Other?"},
                "left out: what records hold under: 1 key: 'question'",
            ),
            (
                {"doc_id": 1, "target": ["a", "b"], "input": "?", "input_media": ["a.png"]},
                "left out: targets that are no text: 1 record: 'line 1'",
            ),
            (
                asked(TEXT),
                "asked without an image, because their records give none: 1 probe: 'line 1'",
            ),
        ],
    )
    def test_in_a_note(self, folder: Path, row: dict[str, Any], says: str) -> None:
        assert texts(read_probes(as_lines(folder / "p.jsonl", [row]))) == [says]

    def test_a_text_file_that_cannot_hold_questions(self, folder: Path) -> None:
        (folder / "a.txt").write_text("Is it?\tYes\n")
        with (folder / "b.txt").open("wb") as file:
            file.truncate((1 << 20) + 1)
        probes = read_probes(folder)
        assert [p.prompt for p in probes] == ["Is it?"]
        assert texts(probes) == ["left out: no questions beside: 1 image: 'b.png'"]

    def test_texts_without_any_question_are_none(self, folder: Path) -> None:
        (folder / "a.txt").write_text(" \t\n")
        assert [p.prompt for p in read_probes(folder)] == ["Describe the image."] * 2


class TestRead:
    def test_a_single_category_of_mme_is_named_by_its_folder(self, tmp_path: Path) -> None:
        pictures(tmp_path, "count/1.png", "posters/images/2.png")
        (tmp_path / "count" / "1.txt").write_text("Two?\tYes\n")
        (tmp_path / "posters" / "questions_answers_YN").mkdir()
        (tmp_path / "posters" / "questions_answers_YN" / "2.txt").write_text("By X?\tNo\n")
        for name in ("count", "posters"):
            (probe,) = read_probes(tmp_path / name)
            assert probe.labels["category"] == name

    @pytest.mark.parametrize("key", ["instructions", "system"])
    def test_the_system_turn_of_a_request(self, folder: Path, key: str) -> None:
        turn = {
            "role": "user",
            "content": [{"type": "input_image", "image_url": "a.png"}, "What?"],
        }
        body = {"input": [turn], key: "Be short."}
        (probe,) = probes = read_probes(
            as_lines(folder / "b.jsonl", [{"custom_id": "r", "body": body}])
        )
        assert probe.turns == (Turn("system", "Be short."),)
        assert texts(probes) == []

    def test_a_request_whose_input_is_one_text(self, folder: Path) -> None:
        row = {"custom_id": "r", "body": {"input": "What?"}}
        (probe,) = read_probes(as_lines(folder / "b.jsonl", [row]))
        assert (probe.prompt, probe.images) == ("What?", ())

    def test_anthropic_style(self, folder: Path) -> None:
        data = base64.b64encode((folder / "b.png").read_bytes()).decode()
        source = {"type": "base64", "media_type": "image/png", "data": data}
        row = asked({"type": "image", "source": source}, TEXT, system=[TEXT])
        (probe,) = probes = read_probes(as_lines(folder / "m.jsonl", [row]))
        assert [i.read() for i in probe.images] == [(folder / "b.png").read_bytes()]
        assert probe.turns == (Turn("system", "What?"),)
        assert texts(probes) == []

    @pytest.mark.parametrize("key", ["image", "images"])
    def test_images_as_the_datasets_library_writes_them(self, folder: Path, key: str) -> None:
        data = base64.b64encode((folder / "b.png").read_bytes()).decode()
        value: Any = {"bytes": data, "path": None}
        rows = [
            asked({"type": "image", "text": None}, TEXT, **{key: [value]}),
            asked(TEXT, **{key: value | {"path": "gone.png"}}),
        ]
        for probe in read_probes(as_lines(folder / "m.jsonl", rows)):
            assert [i.read() for i in probe.images] == [(folder / "b.png").read_bytes()]
        question = {"image": value, "question": "Is it?", "answer": "no"}
        (probe,) = read_probes(as_json(folder / "q.json", [question]))
        assert [i.read() for i in probe.images] == [(folder / "b.png").read_bytes()]

    def test_a_log_has_its_ids_and_numbers(self, folder: Path) -> None:
        row = {"doc_id": 5, "target": 3, "input": "How many?", "input_media": ["a.png"]}
        (probe,) = probes = read_probes(as_lines(folder / "s.jsonl", [row]))
        assert (probe.id, probe.answer) == ("5", "3")
        assert texts(probes) == []


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            asked({"type": "image", "index": 1}, {"type": "image", "index": 0}, TEXT)
            | {"images": ["a.png", "b.png"]},
            "name the images [1, 0] by 'index', not each once in the order",
        ),
        (
            asked({"type": "image", "pixels": [1]}, TEXT, images=["a.png"]),
            "an image part that holds 'pixels' and no image",
        ),
        (
            {"doc_id": 1, "target": "x", "input": "?", "input_media": ["a.png", "b.png"]}
            | {"doc": {"image": "a.png"}},
            "'input_media' names 2 images",
        ),
        (
            {"image": "file:///data/x%20y.png", "prompt": "?"},
            "give the path alone ('/data/x y.png')",
        ),
        ({"image": {"height": 3}, "text": "?"}, "'image' must be a path or a data URI"),
    ],
)
def test_what_would_show_another_image_is_refused(
    folder: Path, row: dict[str, Any], says: str
) -> None:
    assert says in refusal(as_lines(folder / "p.jsonl", [row]))


@pytest.mark.parametrize(
    ("suffix", "kind"), [("avif", "AVIF"), ("png", "PNG"), ("gif", "GIF"), ("heic", "HEIF")]
)
def test_a_damaged_file_of_a_readable_format_is_called_that(
    tmp_path: Path, suffix: str, kind: str
) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    path = tmp_path / f"x.{suffix}"
    Image.effect_noise((64, 64), 50).convert("RGB").save(path)
    os.truncate(path, 14)
    message = refusal(tmp_path)
    assert f"it begins as a {kind} file does, but is cut off or damaged" in message
    assert "it is not one of" not in message


def test_a_pointer_of_git_annex_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_text("/annex/objects/SHA256E-s3--ab.jpg\n")
    assert "run `git annex get` in its repository" in refusal(tmp_path)
