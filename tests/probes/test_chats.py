"""Conversations, question files and benchmarks' layouts: what is asked of them, and what is said."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from lvlm_audit.probes.formats.detect import PROBE_FORMATS
from lvlm_audit.probes.probe import Turn
from lvlm_audit.probes.readers import read_probes
from tests.probes.files import as_json, as_lines, pictures, refusal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path, "a.png", "b.png", "val/c.jpg")


def texts(probes: Any) -> list[str]:
    """What reading said."""
    return [note.text for note in probes.notes]


def user(*content: Any) -> dict[str, Any]:
    """A turn of the user in parts; text stands for a text part."""
    parts = [{"type": "text", "text": c} if isinstance(c, str) else c for c in content]
    return {"role": "user", "content": parts}


class TestMessages:
    def test_openai_style(self, folder: Path) -> None:
        data = base64.b64encode((folder / "b.png").read_bytes()).decode()
        uri = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
        row = {"messages": [{"role": "system", "content": "Be short."}, user(uri, "What is it?")]}
        (probe,) = probes = read_probes(as_lines(folder / "m.jsonl", [row]))
        assert (probe.prompt, probe.answer, probe.id) == ("What is it?", None, "chat")
        assert probe.turns == (Turn("system", "Be short."),)
        assert [i.read() for i in probe.images] == [(folder / "b.png").read_bytes()]
        assert texts(probes) == []

    @pytest.mark.parametrize("key", ["path", "image", "url"])
    def test_transformers_style_with_earlier_turns_and_several_images(
        self, folder: Path, key: str
    ) -> None:
        messages = [
            user({"type": "image", key: "a.png"}, "And this?"),
            {"role": "assistant", "content": [{"type": "text", "text": "Red."}]},
            user({"type": "image", key: "b.png"}, {"type": "image", key: "val/c.jpg"}, "Which?"),
            {"role": "assistant", "content": "The second."},
        ]
        (probe,) = read_probes(as_json(folder / "m.json", [{"messages": messages, "id": 7}]))
        assert probe.turns == (Turn("user", "And this?", 1), Turn("assistant", "Red."))
        assert [i.name for i in probe.images] == ["a.png", "b.png", "val/c.jpg"]
        assert (probe.prompt, probe.answer, probe.id) == ("Which?", "The second.", "7")

    def test_images_beside_the_messages_go_to_their_places(self, folder: Path) -> None:
        said = [
            {"role": "user", "content": "<image>One?"},
            {"role": "assistant", "content": "1"},
            {"role": "user", "content": "And <image> two?"},
        ]
        rows = [
            {"messages": said, "images": ["a.png", "b.png"], "model": "gpt", "category": "x"},
            {"messages": [{"role": "user", "content": "No place?"}], "images": [{"path": "a.png"}]},
        ]
        probes = read_probes(as_lines(folder / "m.jsonl", rows))
        assert probes[0].turns == (Turn("user", "One?", 1), Turn("assistant", "1"))
        assert (probes[0].prompt, probes[0].labels) == ("And two?", {"category": "x"})
        assert [i.name for i in probes[1].images] == ["a.png"]
        assert texts(probes) == [
            "left out: what records hold under: 1 key: 'model'",
            "images are shown before the text of their turn, not between or after it as given: "
            "1 turn: 'line 1, messages[2]'",
        ]

    def test_a_batch_file_is_asked_and_its_settings_are_said_to_be_left_out(
        self, folder: Path
    ) -> None:
        image = {"type": "image_url", "image_url": "a.png"}
        body = {"model": "gpt", "messages": [user(image, "?")], "max_tokens": 9}
        row = {"custom_id": "r-1", "method": "POST", "url": "/v1/chat/completions", "body": body}
        responses = {"input": [user({"type": "input_image", "image_url": "b.png"}, "!")]}
        probes = read_probes(
            as_lines(folder / "b.jsonl", [row, {"custom_id": "r-2", "body": responses}])
        )
        assert [(p.id, p.prompt, p.images[0].name) for p in probes] == [
            ("r-1", "?", "a.png"),
            ("r-2", "!", "b.png"),
        ]
        assert texts(probes) == [
            "left out: what records hold under: 2 keys, first: 'model', 'max_tokens'"
        ]

    @pytest.mark.parametrize(
        ("messages", "says"),
        [
            ([], "'messages' must be a list that is not empty"),
            ([{"role": "user"}], "messages[0]: the key 'content' is missing"),
            ([{}], "messages[0]: the keys 'role' and 'content' are missing"),
            ([{"role": "tool", "content": "x"}], "the role 'tool' is not known"),
            ([{"role": "user", "content": 3}], "'content' must be text or a list, not a number"),
            ([user({"type": "input_audio"})], "a part of the type 'input_audio' cannot be asked"),
            ([user({"type": "video", "video": "a.mp4"})], "the type 'video' cannot be asked"),
            ([user({"type": "image", "url": "https://x.org/a.png"}, "?")], "is a URL. Nothing is"),
            ([user({"type": "image", "file_id": "f"}, "?")], "names a file on a server"),
            ([user("<image><image>?")], "2 places for images, but 0 images are given"),
            ([{"role": "system", "content": "x"}], "ends with a turn of the system"),
            ([{"role": "assistant", "content": "x"}], "has no turn of a user"),
            ([user({"type": "image", "path": "a.png"})], "the last turn of the user has no text"),
            ([{"role": "system", "content": "<image>"}, user("?")], "Only a user's can"),
            (
                [{"role": "assistant", "content": "", "tool_calls": [1]}, user("?")],
                "'tool_calls' cannot be asked",
            ),
        ],
    )
    def test_refusals_name_format_place_and_value(
        self, folder: Path, messages: list[Any], says: str
    ) -> None:
        message = refusal(as_lines(folder / "m.jsonl", [{"messages": messages}]))
        assert says in message
        assert "m.jsonl', line 1" in message
        assert "The file was recognised as chat messages (--lvlm-probe-format messages)" in message
        assert "Did you mean" not in message

    def test_all_problems_are_said_together_with_their_lines(self, folder: Path) -> None:
        rows = [{"messages": [user("?")]}, {"messages": []}, {"massages": 1}, {"messages": []}]
        path = as_lines(folder / "m.jsonl", rows)
        path.write_text(path.read_text() + "{broken\n")
        message = refusal(path)
        assert "has 4 problems: (1) line 2, line 4: 'messages' must be a list" in message
        assert "(2) line 3: the key 'messages' is missing" in message
        assert "(3) line 5: column 2: not valid JSON" in message


class TestConversations:
    def test_the_first_question_about_the_image_and_its_answer(self, folder: Path) -> None:
        turns = [
            {"from": "system", "value": "Be kind."},
            {"from": "human", "value": "<image>\nWhat colour?"},
            {"from": "gpt", "value": "Red."},
            {"from": "human", "value": "Why?"},
            {"from": "gpt", "value": "Paint."},
        ]
        rows = [
            {"id": "0001", "image": "a.png", "conversations": turns},
            {"id": "0002", "image": "b.png", "conversations": turns[1:3], "model": "x"},
        ]
        probes = read_probes(as_json(folder / "llava.json", rows))
        assert [(p.id, p.prompt, p.answer) for p in probes] == [
            ("0001", "What colour?", "Red."),
            ("0002", "What colour?", "Red."),
        ]
        assert probes[0].turns == (Turn("system", "Be kind."),)
        assert texts(probes) == [
            "left out: what is said after the first question about the image: "
            "1 conversation: '0001'",
            "left out: what records hold under: 1 key: 'model'",
        ]

    def test_a_question_without_image_is_asked_blind(self, folder: Path) -> None:
        row = {"conversations": [{"from": "human", "value": "Hello?"}]}
        (probe,) = read_probes(as_json(folder / "c.json", [row]))
        assert (probe.images, probe.prompt, probe.cluster) == ((), "Hello?", "prompt: Hello?")

    @pytest.mark.parametrize(
        ("row", "says"),
        [
            ({"conversations": [{"from": "gpt", "value": "x"}]}, "no turn is of a human"),
            ({"conversations": [{"from": "human"}]}, "the key 'value' is missing"),
            (
                {"conversations": [{"role": "user", "content": "?"}]},
                "'from' and 'value' are missing",
            ),
            ({"conversations": "x"}, "'conversations' must be a list"),
            (
                {"video": "a.mp4", "conversations": [{"from": "human", "value": "?"}]},
                "'video' cannot be shown",
            ),
        ],
    )
    def test_refusals(self, folder: Path, row: dict[str, Any], says: str) -> None:
        message = refusal(as_json(folder / "c.json", [row]))
        assert says in message
        assert "recognised as LLaVA or ShareGPT conversations" in message


class TestQuestions:
    def test_llava_bench(self, folder: Path) -> None:
        rows = [
            {"question_id": 0, "image": "a.png", "text": "What?", "category": "conv"},
            {"question_id": 1, "image": "a.png", "text": "Why?", "category": "detail"},
        ]
        probes = read_probes(as_lines(folder / "questions.jsonl", rows))
        assert [(p.id, p.prompt, p.labels) for p in probes] == [
            ("0", "What?", {"category": "conv"}),
            ("1", "Why?", {"category": "detail"}),
        ]

    def test_pope_as_it_is_exported(self, folder: Path) -> None:
        row = {
            **{"id": "3", "question_id": "1", "question": "Is it?", "answer": "No"},
            **{"image_source": "val/c", "category": "popular"},
        }
        (probe,) = read_probes(as_lines(folder / "p.jsonl", [row]))
        assert probe.images[0].name == "val/c.jpg"
        assert probe.answer == "No"
        assert probe.labels == {
            **{"category": "popular", "kind": "yes_no", "expected": "no", "dataset": "POPE"}
        }

    @pytest.mark.parametrize("row", [{"image": "a.png", "question": ""}, {"image": 3, "text": "?"}])
    def test_refusals(self, folder: Path, row: dict[str, Any]) -> None:
        good = {"image": "a.png", "text": "?"}
        message = refusal(as_lines(folder / "p.jsonl", [good, row]))
        assert "p.jsonl', line 2: '" in message
        assert "recognised as a question file" in message

    def test_a_log_that_names_its_images_and_one_that_does_not(self, folder: Path) -> None:
        log = {"doc_id": 0, "target": "yes", "input": "Is it?\n", "filtered_resps": ["no"]}
        named = [log | {"doc": {"image_source": "val/c"}}, log | {"input_media": ["a.png"]}]
        probes = read_probes(as_lines(folder / "s.jsonl", named))
        assert [(p.prompt, p.answer, p.images[0].name) for p in probes] == [
            ("Is it?\n", "yes", "val/c.jpg"),
            ("Is it?\n", "yes", "a.png"),
        ]
        message = refusal(as_lines(folder / "s.jsonl", [log]))
        assert "a sample log does not hold the images" in message
        assert "recognised as a sample log of lmms-eval" in message


class TestMme:
    @pytest.mark.parametrize("layout", ["beside", "parted"])
    def test_questions_beside_images(self, tmp_path: Path, layout: str) -> None:
        images, asked = ("images/", "questions_answers_YN/") if layout == "parted" else ("", "")
        pictures(tmp_path, f"count/{images}1.png", f"count/{images}2.png")
        text = tmp_path / "count" / asked / "1.txt"
        text.parent.mkdir(exist_ok=True)
        text.write_text("Are there two?\tYes\nAre there three?\tNo\n\n")
        probes = read_probes(tmp_path)
        assert [(p.prompt, p.answer, p.labels["category"]) for p in probes] == [
            ("Are there two?", "Yes", "count"),
            ("Are there three?", "No", "count"),
        ]
        assert probes[0].labels["expected"] == "yes"
        assert f"left out: no questions beside: 1 image: 'count/{images}2.png'" in texts(probes)

    def test_wrong_lines_are_all_named(self, tmp_path: Path) -> None:
        pictures(tmp_path, "1.png", "2.png")
        (tmp_path / "1.txt").write_text("Is it?\tYes\nIs it not?\tmaybe\n")
        (tmp_path / "2.txt").write_text("no tab\n")
        message = refusal(tmp_path)
        assert "has 2 problems: (1) '1.txt', line 2: 'Is it not?\\tmaybe' is not MME's" in message
        assert "(2) '2.txt', line 1: 'no tab' is not MME's" in message

    def test_captions_beside_images_are_no_questions(self, tmp_path: Path) -> None:
        pictures(tmp_path, "1.png")
        (tmp_path / "1.txt").write_text("a dog")
        probes = read_probes(tmp_path)
        assert [p.prompt for p in probes] == ["Describe the image."]
        assert texts(probes) == ["left out: not named like an image: 1 file: '1.txt'"]


class TestPlaces:
    def test_they_are_taken_out_of_prompts_and_said_once(self, folder: Path) -> None:
        prompts = ["<image>\nWhat?", "What? <image>", "Is <image> it?", "  kept as it is \n"]
        rows = [{"image": "a.png", "prompt": p} for p in prompts]
        probes = read_probes(as_lines(folder / "p.jsonl", rows))
        assert [p.prompt for p in probes] == ["What?", "What?", "Is it?", "  kept as it is \n"]
        (text,) = texts(probes)
        assert text.startswith("places for images (<image>) taken out of prompts")
        assert ": 3 probes, first: 'line 1', 'line 2', 'line 3'" in text

    @pytest.mark.parametrize(
        ("prompt", "says"),
        [
            ("<image>\n", "is a place for an image and nothing else"),
            ("<image> or <image>?", "the prompt has 2 places for images"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(self, folder: Path, prompt: str, says: str) -> None:
        row = {"image": "a.png", "prompt": prompt}
        assert says in refusal(as_lines(folder / "p.jsonl", [row]))


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("p.parquet", b"PAR1....", "it is a Parquet file"),
        ("p.csv", b"image,prompt\na.png,?\n", "a table of comma-separated values"),
        ("p.json.gz", b"\x1f\x8b\x08", "a gzip archive. Unpack it"),
        ("p.jsonl", b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        ("p.png", b"\x89PNG\r\n", "it is an image. For one image, name its folder"),
        ("o.jsonl", b'{"custom_id": "1", "response": {}}', "the output of an OpenAI batch"),
        ("c.json", b'{"images": [], "annotations": []}', "COCO annotations"),
        ("r.json", b'{"results": {}, "configs": {}}', "results of lmms-eval"),
        ("a.jsonl", b'{"question_id": 0, "text": "", "answer_id": "x"}', "LLaVA's answers"),
    ],
)
def test_files_that_are_no_probe_files_are_named(
    tmp_path: Path, name: str, data: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(data)
    message = refusal(tmp_path / name)
    assert "cannot read probes from" in message
    assert says in message


def test_every_format_is_documented_with_an_example() -> None:
    page = (Path(__file__).parents[2] / "docs" / "probes.md").read_text("utf-8")
    for name in set(PROBE_FORMATS) - {"auto"}:
        assert f"`{name}`" in page, name
