"""Probe files of ill will: longer, deeper or larger than anything that is meant."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lvlm_audit.probes import json_text
from lvlm_audit.probes.fingerprint import fingerprint
from lvlm_audit.probes.readers import read_probes
from tests.probes.files import pictures, refusal


@pytest.fixture
def file(tmp_path: Path) -> Path:
    pictures(tmp_path, "a.png")
    return tmp_path / "p.jsonl"


@pytest.mark.parametrize("start", [b'{"image": "', b"[", b""])
def test_a_line_of_ten_gigabytes_is_not_read(file: Path, start: bytes) -> None:
    with file.open("wb") as opened:
        opened.write(start)
        opened.truncate(10 << 30)
    assert "too long: more than 2 GiB" in refusal(file)


@pytest.mark.parametrize("array", [False, True])
def test_a_line_or_a_document_is_bounded(
    file: Path, array: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_text, "MAX_VALUE", 2 << 20)
    row = json.dumps({"image": "a.png", "prompt": "?"})
    long = json.dumps({"image": "a.png", "prompt": "x" * (2 << 20)})
    file.write_text(f"[{row},\n{long}]" if array else f"{row}\n{long}\n")
    message = refusal(file)
    assert "too long: more than 2 MiB" in message
    file.write_text(f"[{row}]" if array else f"{row}\n")
    assert len(read_probes(file)) == 1


@pytest.mark.parametrize("depth", [65, 500, 900, 100_000])
@pytest.mark.parametrize(("open", "shut"), [("[", "]"), ('{"a":', "}")])
def test_nesting_is_refused_before_anything_walks_it(
    file: Path, depth: int, open: str, shut: str
) -> None:
    inner = open * depth + ("1" if open != "[" else "") + shut * depth
    file.write_text('{"image": "a.png", "prompt": "?", "labels": {"x": ' + inner + "}}")
    assert "cannot be read as JSON" in refusal(file)


def test_what_is_nested_as_deep_as_allowed_has_a_key(file: Path) -> None:
    inner = "[" * 61 + "]" * 61
    file.write_text('{"image": "a.png", "prompt": "?", "labels": {"x": ' + inner + "}}")
    assert len(fingerprint(read_probes(file))) == 64


@pytest.mark.parametrize("number", ["1" + "0" * 400, "-1" + "0" * 400, "1e400", "-1e309"])
def test_numbers_that_no_document_can_hold(file: Path, number: str) -> None:
    file.write_text(f'{{"image": "a.png", "prompt": "?", "labels": {{"n": {number}}}}}')
    message = refusal(file)
    assert f"the number '{number[:20]}" in message
    assert "is too large. Write it as text" in message
    file.write_text('{"image": "a.png", "prompt": "?", "labels": {"n": 1e308, "m": -3}}')
    assert read_probes(file)[0].labels == {"n": 1e308, "m": -3}


@pytest.mark.parametrize("place", ["probe file", "text of MME", "CHAIR's synonyms"])
def test_pipes_are_not_waited_for(tmp_path: Path, place: str) -> None:
    pictures(tmp_path, "1.png")
    if place == "probe file":
        os.mkfifo(tmp_path / "p.jsonl")
        assert "is not a regular file" in refusal(tmp_path / "p.jsonl")
    elif place == "text of MME":
        os.mkfifo(tmp_path / "1.txt")
        assert "'1.txt'" in read_probes(tmp_path).notes[0].text
    else:
        os.mkfifo(tmp_path / "synonyms.txt")
        sentence = {
            **{"image_id": 1, "caption": "a dog", "mscoco_hallucinated_words": []},
            **{"hallucination_idxs": [], "mscoco_gt_words": [], "mscoco_generated_words": []},
            **{"words": ["a", "dog"]},
        }
        (tmp_path / "c.json").write_text(json.dumps({"sentences": [sentence]}))
        assert len(read_probes(tmp_path / "c.json")) == 1
