"""AMBER's queries with their annotations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lvlm_audit.probes.readers import read_probes
from tests.probes.files import as_json, pictures, refusal

ANNOTATIONS: list[dict[str, Any]] = [
    {
        "id": 1,
        "type": "generative",
        "truth": ["ship", "sky", "ship"],
        "hallu": ["dog", "Sky", "ships"],
    },
    {"id": 1005, "type": "discriminative-attribute-state", "truth": "yes"},
    {"id": 8633, "type": "discriminative-hallucination", "truth": "no"},
    {"id": 13559, "type": "relation", "truth": "no"},
]
QUERIES = [
    {"id": 1, "image": "AMBER_1.jpg", "query": "Describe this image."},
    {"id": 1005, "image": "AMBER_1.jpg", "query": "Is the sky sunny in this image?"},
    {"id": 8633, "image": "AMBER_2.jpg", "query": "Is there a cloud in this image?"},
    {"id": 13559, "image": "AMBER_2.jpg", "query": "Is there direct contact?"},
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The repository's `data` folder, with the images beside."""
    pictures(tmp_path, "AMBER_1.jpg", "AMBER_2.jpg")
    as_json(tmp_path / "annotations.json", ANNOTATIONS, indent=4)
    return tmp_path


def read(data: Path, queries: list[dict[str, Any]] = QUERIES) -> Any:
    return read_probes(as_json(data / "query" / "query_all.json", queries), images=data)


def test_both_tasks(data: Path) -> None:
    described, sunny, cloud, contact = read(data)
    assert described.labels["grounded"] == ["ship", "sky"]
    assert described.labels["hallucinated"] == ["dog"], "what is in both lists is in the image"
    assert described.answer is None
    assert sunny.labels == {
        "dataset": "AMBER",
        "kind": "yes_no",
        "type": "discriminative-attribute-state",
        "expected": "yes",
    }
    assert (cloud.id, cloud.answer, cloud.labels["expected"]) == ("8633", "No", "no")
    assert contact.labels["type"] == "relation"
    assert described.cluster == sunny.cluster != cloud.cluster == contact.cluster


def test_annotations_beside_the_queries_come_first(data: Path) -> None:
    as_json(data / "query" / "annotations.json", [{"id": 1005, "type": "x", "truth": "no"}])
    assert read(data, [QUERIES[1]])[0].labels["expected"] == "no"


def test_without_annotations(data: Path) -> None:
    (data / "annotations.json").unlink()
    path = as_json(data / "query" / "query_all.json", QUERIES)
    assert "annotations.json is neither beside it nor in the folder above" in refusal(path)


@pytest.mark.parametrize(
    ("index", "change", "says"),
    [
        (0, {"truth": "yes"}, "entry 0: 'truth' must be a list of words, not text ('yes')"),
        (0, {"hallu": [1]}, "entry 0: 'hallu[0]' must be a word, not a number (1)"),
        (1, {"truth": ["yes"]}, "entry 1: 'truth' must be \"yes\" or \"no\", not a list (['yes'])"),
        (2, {"type": None}, "entry 2: 'type' must be text, not null"),
        (2, {"id": 1}, "entry 2: 'id' '1' occurs twice"),
        (3, {"id": None}, "entry 3: 'id' must be a whole number or text, not null"),
    ],
)
def test_wrong_annotations(data: Path, index: int, change: dict[str, Any], says: str) -> None:
    changed = [a | change if i == index else a for i, a in enumerate(ANNOTATIONS)]
    as_json(data / "annotations.json", changed)
    message = refusal(as_json(data / "query" / "q.json", QUERIES), images=data)
    assert says in message
    assert "annotations.json', entry" in message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id": 2}, "entry 0: 'id' '2' is not in "),
        ({"image": 3}, "entry 0: 'image' must be text, not a number (3)"),
        ({"query": ""}, "entry 0: 'query' is blank"),
    ],
)
def test_wrong_queries(data: Path, change: dict[str, Any], says: str) -> None:
    message = refusal(as_json(data / "query" / "q.json", [QUERIES[1] | change]), images=data)
    assert says in message


def test_a_missing_list_is_named(data: Path) -> None:
    as_json(data / "annotations.json", [{"id": 1, "type": "generative", "truth": []}])
    message = refusal(as_json(data / "query" / "q.json", [QUERIES[0]]), images=data)
    assert "entry 0: the key 'hallu' is missing" in message
