"""Whatever stands in a record of a known format, it is read or refused in words, never with a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.image_places import places, without_places
from lvlm_audit.probes.probe import Probes
from lvlm_audit.probes.readers import read_probes
from tests.probes.files import pictures

WORD = st.sampled_from(
    [
        "a.png",
        "b.png",
        "user",
        "system",
        "assistant",
        "human",
        "gpt",
        "text",
        "image",
        "image_url",
        "<image>",
        "<image>?",
        "What?",
        "",
        "data:image/png;base64,",
        "data:,x",
        "\x1b[31m",
        "a\\b",
    ]
)
KEY = st.sampled_from(
    [
        "messages",
        "conversations",
        "role",
        "content",
        "from",
        "value",
        "type",
        "text",
        "image",
        "url",
        "image_url",
        "images",
        "path",
        "id",
        "question_id",
        "answer",
        "doc",
        "doc_id",
        "target",
        "body",
        "input",
        "input_media",
        "custom_id",
        "system",
        "turns",
        "background",
        "labels",
        "prompt",
    ]
)
VALUE = st.recursive(
    WORD | st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1, 1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=4),
    max_leaves=12,
)
PART = st.fixed_dictionaries({"type": WORD, "text": WORD, "image": WORD}) | VALUE
TURN = (
    st.fixed_dictionaries(
        {"role": WORD, "content": WORD | st.lists(PART, max_size=3), "from": WORD, "value": WORD}
    )
    | VALUE
)
START = st.sampled_from(
    [
        {"messages": []},
        {"conversations": []},
        {"custom_id": "x", "body": {}},
        {"doc_id": 0, "target": "yes"},
        {"image": "a.png", "text": "?"},
        {"image": "a.png", "prompt": "?"},
    ]
)


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    start=START,
    turns=st.lists(TURN, max_size=4),
    more=st.dictionaries(KEY, VALUE, max_size=4),
)
@example({"messages": []}, [{"role": "user", "content": ["x"]}], {"images": {"path": 3}})
def test_it_is_read_or_refused_in_words(
    tmp_path: Path, start: dict[str, Any], turns: list[Any], more: dict[str, Any]
) -> None:
    if not (tmp_path / "a.png").exists():
        pictures(tmp_path, "a.png", "b.png")
    filled = {key: turns for key in ("messages", "conversations", "turns") if key in start}
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps({**start, **more, **filled}))
    probes, refusal = _read(path)
    assert refusal.isprintable()
    for probe in probes:
        assert probe.prompt.strip()
        assert places(probe.transcript) == 0 or probe.turns
        assert sum(turn.images for turn in probe.turns) <= len(probe.images)
    assert all(note.text.isprintable() for note in probes.notes)


def _read(path: Path) -> tuple[Probes, str]:
    """The probes, or why there are none; any other error than a `ProbeError` is the test's failure."""
    try:
        return read_probes(path), ""
    except ProbeError as error:
        return Probes(), str(error)


@given(st.lists(st.sampled_from(["<image>", "<|image_1|>", "a", "b c", " ", "\n"]), max_size=8))
def test_places_are_taken_out_and_words_stay(pieces: list[str]) -> None:
    text = "".join(pieces)
    bare = without_places(text)
    assert places(bare) == 0
    if not places(text):
        assert bare == text
    kept = "".join(piece for piece in pieces if not places(piece))
    assert "".join(bare.split()) == "".join(kept.split())


@pytest.mark.parametrize("text", ["<im", "<image", "image>", "<IMAGE>"])
def test_what_only_resembles_a_place_stays(text: str) -> None:
    assert without_places(text) == text
