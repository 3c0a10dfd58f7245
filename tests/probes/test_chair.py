"""CHAIR's output: where in a caption its hallucinated words are, and where the others."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.probes.formats.caption_words import caption_words, find_object, names
from lvlm_audit.probes.readers import read_probes
from tests.probes.files import as_json, pictures, refusal

# As utils/chair.py writes them, by hand: `words` is singular and joined, indices are of the words before.
BENCH = {
    "image_id": 42,
    "caption": "Two men sit on benches near a fire hydrant, and the man's dogs don't bark.",
    "mscoco_hallucinated_words": [["bench", "bench"], ["fire hydrant", "fire hydrant"]],
    "mscoco_gt_words": ["person", "dog"],
    "mscoco_generated_words": ["person", "bench", "fire hydrant", "person", "dog"],
    "hallucination_idxs": [4, 7],
    "words": [
        *("two", "man", "sit", "on", "bench", "near", "a", "fire hydrant", ",", "and", "the"),
        *("man", "'", "dog", "do", "n't", "bark", "."),
    ],
    "metrics": {"CHAIRs": 1, "CHAIRi": 0.4},
}
PEOPLE = {
    "image_id": 7,
    "caption": "a man with a baby bird",
    "mscoco_hallucinated_words": [["man", "person"], ["bird", "bird"]],
    "mscoco_gt_words": ["dog"],
    "mscoco_generated_words": ["person", "bird"],
    "hallucination_idxs": [1, 4],
    "words": ["a", "man", "with", "a", "bird"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path, "COCO_val2014_000000000042.jpg", "7.png")


def read(folder: Path, *sentences: dict[str, Any], **options: Any) -> Any:
    whole = {"sentences": list(sentences), "overall_metrics": {}}
    return read_probes(as_json(folder / "out.json", whole), **options)


def spans(probe: Any) -> list[tuple[str, bool]]:
    for span in probe.labels["spans"]:
        assert probe.answer[span["start"] :].startswith(span["text"])
    return [(span["text"], span["hallucinated"]) for span in probe.labels["spans"]]


def test_captions_are_answers_and_their_words_are_found(folder: Path) -> None:
    bench, people = read(folder, BENCH, PEOPLE)
    assert (bench.id, bench.prompt) == ("42", "Describe the image.")
    assert bench.answer == BENCH["caption"]
    assert bench.image.name == "COCO_val2014_000000000042.jpg"
    assert people.image.name == "7.png"
    # That "man" is a person is known from the other sentence.
    assert spans(bench) == [
        ("men", False),
        ("benches", True),
        ("fire hydrant", True),
        ("man", False),
        ("dogs", False),
    ]
    assert spans(people) == [("man", True), ("bird", True)]


def test_synonyms_that_no_sentence_shows_come_from_the_list_beside_the_file(folder: Path) -> None:
    (alone,) = read(folder, BENCH)
    assert [text for text, _ in spans(alone)] == ["benches", "fire hydrant", "dogs"]
    (folder / "synonyms.txt").write_text("person, girl, boy, man\ncar, automobile\n")
    (probe,) = read(folder, BENCH)
    assert [text for text, untrue in spans(probe) if not untrue] == ["men", "man", "dogs"]
    (folder / "synonyms.txt").write_bytes(b"\xff")
    assert "Mend it, or move it away: it is optional" in refusal(folder / "out.json")


def test_lists_for_any_other_answer(folder: Path) -> None:
    _, people = read(folder, BENCH, PEOPLE, prompt="What is it?")
    assert people.prompt == "What is it?"
    assert people.labels["grounded"] == ["dog"]
    assert people.labels["hallucinated"] == ["man", "person", "bird"]
    (birds,) = read(folder, PEOPLE | {"mscoco_gt_words": ["birds"]})
    assert birds.labels["hallucinated"] == ["man", "person"], "what is in both is in the image"


def test_an_index_that_another_tokenizer_made_means_the_nearest_such_word(folder: Path) -> None:
    moved = PEOPLE | {"caption": "a bird and a man with a bird", "hallucination_idxs": [4, 6]}
    (probe,) = read(folder, moved)
    assert probe.labels["spans"][1] == {"text": "bird", "start": 24, "hallucinated": True}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"caption": 3}, "sentences[1]: 'caption' must be text, not a number (3)"),
        ({"image_id": None}, "sentences[1]: 'image_id' must be a whole number or text, not null"),
        ({"image_id": 9}, "there is no image 'COCO_val2014_000000000009.jpg'"),
        ({"image_id": "../../etc"}, "there is no image '../../etc.jpg'"),
        ({"mscoco_hallucinated_words": {}}, "must be a list of pairs, not an object"),
        (
            {"mscoco_hallucinated_words": [["a", "b", "c"], []]},
            "'mscoco_hallucinated_words[0]' must be a word and its node, not a list",
        ),
        ({"hallucination_idxs": [1]}, "a place for each of the 2 'mscoco_hallucinated_words'"),
        ({"hallucination_idxs": [1, -2]}, "'hallucination_idxs[1]' must be the index of a word"),
        ({"hallucination_idxs": [True, 2]}, "'hallucination_idxs[0]' must be the index of a word"),
        (
            {"mscoco_hallucinated_words": [["man", "person"], ["z\x1b" * 99, "bird"]]},
            "'hallucination_idxs[1]' is 4, but 'caption' has no word 'z\\x1b",
        ),
        ({"mscoco_gt_words": [3]}, "'mscoco_gt_words[0]' must be a word, not a number (3)"),
        ({"mscoco_generated_words": "dog"}, "'mscoco_generated_words' must be a list of words"),
        ({"words": None}, "'words' must be a list of words, not null"),
    ],
)
def test_wrong_sentences(folder: Path, change: dict[str, Any], says: str) -> None:
    path = as_json(folder / "out.json", {"sentences": [BENCH, PEOPLE | change]})
    message = refusal(path)
    assert says in message
    assert "sentences[1]: " in message


@pytest.mark.parametrize("key", sorted(set(PEOPLE)))
def test_missing_keys(folder: Path, key: str) -> None:
    path = as_json(
        folder / "out.json", {"sentences": [{k: v for k, v in PEOPLE.items() if k != key}]}
    )
    assert f"sentences[0]: the key {key!r} is missing" in refusal(path)


@pytest.mark.parametrize("sentences", [None, [], {}, [3]])
def test_no_sentences(folder: Path, sentences: Any) -> None:
    assert "sentences" in refusal(as_json(folder / "out.json", {"sentences": sentences}))


def test_words_are_cut_as_nltk_cuts_them() -> None:
    """By hand from the Treebank conventions that `word_tokenize` follows."""
    text = "A man's well-known dog, isn't it? 3.5 pizzas... End."
    assert [w.text for w in caption_words(text)] == (
        [
            "a",
            "man",
            "'s",
            "well-known",
            "dog",
            ",",
            "is",
            "n't",
            "it",
            "?",
            "3.5",
            "pizzas",
            "...",
            "end",
            ".",
        ]
    )


@given(st.text(max_size=60), st.integers(0, 20), st.sampled_from(["dog", "hot dog", "bench", "ß"]))
def test_what_is_found_is_where_it_says(text: str, place: int, name: str) -> None:
    words = caption_words(text)
    for word in words:
        assert text[word.start : word.end].lower() == word.text
    span = find_object(words, name, place, [])
    assert span is None or 0 <= span[0] <= span[1] < len(words)
    found = [where for where, _ in names(words, {"dog": "dog", "hot dog": "hot dog"})]
    assert all(a[1] < b[0] for a, b in itertools.pairwise(found))
