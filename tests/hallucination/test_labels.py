"""Which tokens are called hallucinated: by hand, and what no answer may break."""

from __future__ import annotations

import string
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lvlm_audit.demo.evaluation import word_hits
from lvlm_audit.demo.probes import question_labels
from lvlm_audit.demo.questions import QUESTION_KINDS, ask
from lvlm_audit.demo.scenes import make_scene
from lvlm_audit.errors import ProbeError
from lvlm_audit.hallucination.labels import (
    CORRECT,
    HALLUCINATED,
    UNLABELLED,
    TokenLabels,
    label_answers,
)
from lvlm_audit.hallucination.labels.registry import label_text
from lvlm_audit.probes.labels import read_truth
from lvlm_audit.traces.trace import Trace
from tests.hallucination.answers import answer, said


def label(trace: Trace, *blind: Trace) -> TokenLabels:
    return label_answers([trace], blind)[0]


def by_text(labels: TokenLabels) -> dict[str, int]:
    return {word.text: word.truth for word in labels.words}


def scene_words(*words: tuple[str, str]) -> dict[str, Any]:
    return {
        "words": [{"text": t, "role": r, "start": 0, "prior_conflict": False} for t, r in words]
    }


# Scenes -------------------------------------------------------------------------------------------


def test_a_blue_banana_that_is_called_yellow() -> None:
    labels = scene_words(("blue", "color"))
    found = label(said("The banana is yellow .", labels), said("It is yellow ."))
    assert found.truth.tolist() == [-1, -1, -1, HALLUCINATED, -1]
    assert found.truth.dtype == np.int8
    assert found.prior_driven is not None
    assert found.prior_driven.tolist() == [False, False, False, True, False]
    (word,) = found.words
    assert (word.text, word.tokens, word.expected, word.prior_driven) == (
        "yellow",
        slice(3, 4),
        "blue",
        True,
    )


def test_a_misreading_is_no_prior() -> None:
    labels = scene_words(("blue", "color"))
    found = label(said("The banana is red .", labels), said("It is yellow ."))
    assert found.truth.tolist() == [-1, -1, -1, HALLUCINATED, -1]
    assert found.prior_driven is not None
    assert not found.prior_driven.any()


def test_a_right_word_is_not_prior_driven_even_if_the_prior_says_it() -> None:
    labels = scene_words(("yellow", "color"))
    found = label(said("The banana is yellow .", labels), said("It is yellow ."))
    assert found.truth.tolist() == [-1, -1, -1, CORRECT, -1]
    assert found.prior_driven is not None
    assert not found.prior_driven.any()


def test_without_a_text_answer_nothing_is_known_of_the_prior() -> None:
    trace = said("The banana is yellow .", scene_words(("blue", "color")), prompt="A?")
    found = label(trace, said("It is yellow .", prompt="B?"))
    assert found.prior_driven is None
    assert found.words[0].prior_driven is None


def test_too_many_objects_are_hallucinated_and_too_many_numbers_are_not_labelled() -> None:
    labels = scene_words(("red", "color"), ("tomato", "object"), ("one", "count"))
    found = label(said("one red tomato and two pink hearts", labels))
    assert found.truth.tolist() == [0, 0, 0, -1, -1, 1, 1]
    assert [w.expected for w in found.words if w.truth] == [None, None]


def test_an_object_that_only_echoes_the_question_is_not_labelled() -> None:
    found = label(said("The banana is blue", scene_words(("blue", "color"))))
    assert by_text(found) == {"blue": CORRECT}


@given(st.integers(0, 500), st.sampled_from(QUESTION_KINDS), st.integers(0, 500))
def test_scenes_are_labelled_as_they_are_scored(seed: int, kind: str, other: int) -> None:
    """Against the demo's own scoring, which is written from the true words' side."""
    scene = make_scene(seed)
    question = ask(scene, kind, np.random.default_rng(seed))
    text = ask(make_scene(other), kind, np.random.default_rng(other)).answer
    labels = label(said(text, question_labels(scene, question)))
    hits = sum(sum(word_hits(question, text, role)) for role in {w.role for w in question.words})
    assert sum(word.truth == CORRECT for word in labels.words) == hits


# Words of one's own -------------------------------------------------------------------------------


def test_words_of_the_lists_in_any_form() -> None:
    labels = {"grounded": ["dog", "hot dog"], "hallucinated": ["child", "Bus"]}
    found = label(said("Two DOGS , children and buses by a hot dog dogma", labels))
    assert by_text(found) == {"DOGS": 0, "children": 1, "buses": 1, "hot dog": 0}
    assert found.truth.tolist() == [-1, 0, -1, 1, -1, 1, -1, -1, 0, 0, -1]


def test_a_word_of_several_pieces_is_labelled_whole_and_nothing_beside_it() -> None:
    pieces = ["A", " caf", "", "é", "-", "bar", " b", "anan", "as", ".", "</s>"]
    found = label(answer(pieces, {"grounded": ["café"], "hallucinated": ["banana"]}, special=[10]))
    assert found.truth.tolist() == [-1, 0, 0, 0, -1, -1, 1, 1, 1, -1, -1]
    assert [word.tokens for word in found.words] == [slice(1, 4), slice(6, 9)]


def test_bytes_before_a_word_s_first_character_belong_to_it() -> None:
    found = label(answer(["a ", "", "", "犬", "と"], {"hallucinated": ["犬"]}))
    assert found.truth.tolist() == [-1, 1, 1, 1, -1]


def test_a_special_token_inside_is_passed_over() -> None:
    found = label(answer(["do", "<x>", "g"], {"hallucinated": ["dog"]}, special=[1]))
    assert found.truth.tolist() == [1, -1, 1]


def test_composed_and_decomposed_letters_are_the_same_word() -> None:
    assert by_text(label(said("un cafe\u0301", {"grounded": ["caf\u00e9"]}))) == {"cafe\u0301": 0}


def test_the_expected_word_or_what_stands_in_its_place() -> None:
    labels, reference = {"expected": "blue"}, "The car is blue."
    right = label(said("It is Blue , I think", labels, reference=reference))
    assert by_text(right) == {"Blue": CORRECT}
    wrong = label(said("The car is red and new.", labels, reference=reference), said("red"))
    assert by_text(wrong) == {"red": HALLUCINATED}
    assert (wrong.words[0].expected, wrong.words[0].prior_driven) == ("blue", True)
    assert by_text(label(said("Red.", labels))) == {"Red": HALLUCINATED}
    # Another wording: that it is wrong is known, but not which word is.
    assert label(said("I see a red car", labels, reference=reference)).words == ()


def test_a_listed_word_in_the_expected_one_s_place_is_what_the_list_says() -> None:
    labels = {"expected": "blue", "grounded": ["azure"]}
    assert by_text(label(said("azure", labels))) == {"azure": CORRECT}


def test_spans_hold_of_the_reference_and_of_no_other_answer() -> None:
    reference = "A man with a man's dog."
    spans = [
        {"text": "man", "start": 13, "hallucinated": True},
        {"text": "dog", "start": 19, "hallucinated": False},
    ]
    labels = {"dataset": "CHAIR", "spans": spans, "hallucinated": ["man"]}
    pieces = [" A", " man", " with", " a", " man", "'s", " dog", "."]
    found = label(answer(pieces, labels, reference=reference))
    assert found.truth.tolist() == [-1, -1, -1, -1, 1, -1, 0, -1]
    assert found.scheme == "CHAIR: words of the given answer, by their place"
    other = label(said("A man sleeps", labels, reference=reference))
    assert other.truth.tolist() == [-1, 1, -1]
    assert "by their place" not in other.scheme


# Yes and no ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset", "text", "expected", "truth"),
    [
        ("POPE", "Yes , there is", "no", [1, -1, -1, -1]),
        ("POPE", "There is no dog", "no", [-1, -1, 0, -1]),
        ("POPE", "There is one.", "no", [-1, -1, -1]),
        ("POPE", "Yes, not one", "yes", [-1, 1, -1]),
        ("AMBER", "No , nothing", "yes", [1, -1, -1]),
        ("AMBER", "There is no dog", "no", [-1, -1, -1, -1]),
        ("HallusionBench", "Yes , it is", "yes", [0, -1, -1, -1]),
        ("", "I do not see", "no", [-1, -1, 0, -1]),
        ("", "It isn't yes", "yes", [-1, 1, -1]),
    ],
)
def test_the_word_that_decided(dataset: str, text: str, expected: str, truth: list[int]) -> None:
    found = label(said(text, {"dataset": dataset, "expected": expected}))
    assert found.truth.tolist() == truth


def test_the_prior_of_a_verdict_is_the_same_verdict_in_any_words() -> None:
    labels = {"dataset": "POPE", "expected": "yes"}
    assert label(said("No.", labels), said("There is no such thing.")).words[0].prior_driven is True
    assert label(said("No.", labels), said("It could be.")).words[0].prior_driven is False


def test_data_sets_are_named_with_their_rule_and_class() -> None:
    schemes = {
        dataset: label(said("no", {"dataset": dataset, "expected": "no"})).scheme
        for dataset in ("POPE", "AMBER", "HallusionBench", "of my own")
    }
    assert "everything else counts as yes" in schemes["POPE"]
    assert schemes["AMBER"].endswith("positive class no")
    assert "uncertain" in schemes["HallusionBench"]
    assert len(set(schemes.values())) == 4


# Laws ---------------------------------------------------------------------------------------------


def test_no_labels_no_verdict() -> None:
    found = label(said("Anything at all", {"kind": "color", "truth": "blue"}))
    assert found.truth.tolist() == [UNLABELLED] * 3
    assert found.words == ()
    assert "do not say" in found.scheme


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            {"expected": 3},
            "'expected' of 'labels' must be text that is not blank, not a number (3)",
        ),
        ({"hallucinated": "dog"}, "must be a list of words, not text ('dog')"),
        ({"grounded": ["dog", " "]}, "'grounded[1]' of 'labels' must be text"),
        (
            {"grounded": ["Dog"], "hallucinated": ["dog"]},
            "'Dog' is under 'grounded' and 'dog' under 'hallucinated'",
        ),
        (
            {"grounded": ["cat", "dog"], "hallucinated": ["Dogs"]},
            "'dog' is under 'grounded' and 'Dogs' under 'hallucinated'",
        ),
        ({"grounded": ["old men"], "hallucinated": ["old  man"]}, "under 'hallucinated'"),
        ({"grounded": ["caf\u00e9"], "hallucinated": ["cafe\u0301s"]}, "under 'hallucinated'"),
        (
            {"expected": "red ", "hallucinated": ["blue", "Red"]},
            "'red' is under 'expected' and 'Red' under 'hallucinated'",
        ),
        (
            {"expected": "yes", "undecided_is_right": "false"},
            "'undecided_is_right' of 'labels' must be true or false, not text ('false')",
        ),
        ({"undecided_is_right": 1}, "must be true or false, not a number (1)"),
        ({"spans": [{"text": "x", "start": 1, "hallucinated": True}]}, "which has none"),
        ({"spans": [{"text": "x", "start": True, "hallucinated": True}]}, "index of a character"),
        ({"spans": ["x"]}, "must be a list of objects"),
    ],
)
def test_labels_that_cannot_be_read_name_the_probe(labels: dict[str, Any], message: str) -> None:
    with pytest.raises(ProbeError) as caught:
        label(said("dog", labels, name="p\x1b7"))
    assert message in str(caught.value)
    assert "probe 'p\\x1b7': " in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["这是dog吗", "dog。", "犬dog", "_dog_", "**dog**", "ภาพdogนี้", "a dogs_", "DOG\u3000"],
)
def test_a_word_is_found_beside_marks_and_scripts_without_spaces(text: str) -> None:
    (found,) = label(said(text, {"hallucinated": ["dog"]})).words
    assert found.text.casefold() in ("dog", "dogs")
    assert not label(said(text.lower().replace("g", "gé"), {"hallucinated": ["dog"]})).words


@pytest.mark.parametrize("word", ["\u0958\u0932\u092e", "\u2126", "\u212bngstrom"])
def test_a_word_is_found_as_it_is_written_even_if_it_is_in_no_normal_form(word: str) -> None:
    (found,) = label(said(f"a {word}", {"hallucinated": [word]})).words
    assert found.text == word


def test_a_span_is_true_or_untrue() -> None:
    spans = [{"text": "dog", "start": 2, "hallucinated": untrue} for untrue in (True, True)]
    assert len(read_truth({"spans": spans}, "line 1", "a dog").spans) == 2
    spans.append({"text": "dog", "start": 2, "hallucinated": False})
    with pytest.raises(ProbeError, match=r"^line 1: 'spans\[2\].hallucinated' .*the opposite"):
        read_truth({"spans": spans}, "line 1", "a dog")


def test_words_that_differ_are_no_contradiction() -> None:
    labels = {"grounded": ["dog", "mouse"], "hallucinated": ["hot dog", "mice trap"]}
    truth = read_truth({**labels, "undecided_is_right": None}, "line 1")
    assert (truth.hallucinated, truth.undecided_is_right) == (("hot dog", "mice trap"), False)


pieces = st.lists(
    st.one_of(
        st.sampled_from(
            ["", " dog", "dog", "s", " hot", " red", "no", " Yes", ".", "\u00e9", "</s>"]
        ),
        st.text(alphabet=string.printable + "é犬\u0301\ufffd\u202e", max_size=4),
    ),
    min_size=1,
    max_size=12,
)
any_labels = st.one_of(
    st.fixed_dictionaries({"expected": st.sampled_from(["yes", "no", "red", "(.*"])}),
    st.fixed_dictionaries(
        {
            "grounded": st.lists(st.sampled_from(["dog", "é", "犬", "$"]), max_size=3),
            "hallucinated": st.lists(st.sampled_from(["hot dog", "red", "\\"]), max_size=3),
        }
    ),
    st.fixed_dictionaries(
        {"dataset": st.sampled_from(["POPE", "AMBER"]), "expected": st.sampled_from(["yes", "no"])}
    ),
    st.just(scene_words(("red", "color"), ("banana", "object"), ("no", "verdict"))),
)


@given(pieces, any_labels, st.sets(st.integers(0, 11)), st.booleans())
@example(
    ["0犬"], {"expected": "red"}, set(), True
)  # a word ends where a script without spaces begins
@example(["0_"], {"expected": "red"}, set(), True)
def test_a_label_lies_on_its_word_and_nowhere_else(
    pieces: list[str], labels: dict[str, Any], special: set[int], blind: bool
) -> None:
    trace = answer(pieces, labels, special=sorted(special), reference="It is red.")
    others = [trace] if blind else []
    found = label(trace, *others)
    covered = np.zeros(len(pieces), dtype=bool)
    for word in found.words:
        covered[word.tokens] = True
        shown = [
            p for i, p in enumerate(pieces[word.tokens], word.tokens.start) if i not in special
        ]
        assert word.text in "".join(shown)
        # Each end of the slice is needed: without its first text or its last the word is cut.
        texts = [p for p in shown if p]
        assert word.text not in "".join(texts[1:]) or word.text in texts[0]
        assert word.text not in "".join(texts[:-1]) or word.text in texts[-1]
        # An answer is its own text-only answer: every error of it is shared.
        assert word.prior_driven is (True if blind and word.truth == HALLUCINATED else None)
    assert not (found.truth != UNLABELLED)[~covered].any()
    assert all(found.truth[i] == UNLABELLED for i in special if i < len(pieces))
    assert found.truth.shape == (len(pieces),)
    again = label(trace, *others)
    assert found.words == again.words
    assert found.truth.tolist() == again.truth.tolist()
    if found.prior_driven is not None:
        assert not found.prior_driven[found.truth != HALLUCINATED].any()


@given(st.text(alphabet="dogs redhtn,. ", max_size=30), st.randoms(use_true_random=False))
def test_how_an_answer_is_cut_into_tokens_changes_no_word(text: str, random: Any) -> None:
    labels = {"grounded": ["dog"], "hallucinated": ["red", "hot dog"]}
    cuts = sorted(random.sample(range(len(text) + 1), random.randint(0, len(text))))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole = label(answer([text], labels))
    cut = label(answer(pieces, labels))
    assert [(w.text, w.truth) for w in whole.words] == [(w.text, w.truth) for w in cut.words]


@pytest.mark.parametrize(
    ("text", "expected", "reference", "wrong"),
    [
        # What stands in the place of the expected word, where that can be told.
        ("The bus is here.", "car", "The car is here.", ["bus"]),
        ("Blue.", "red", None, ["Blue"]),
        ("There are 3 cats.", "two", "There are two cats.", ["3"]),
        # An article, an adjective before the real word, a refusal, another language, two candidates.
        ("On a field.", "grass", "On grass.", []),
        ("The red bus is here.", "car", "The car is here.", []),
        ("I cannot see that.", "cat", "It is a cat.", []),
        ("Das ist ein Hund.", "cat", "It is a cat.", []),
        ("The bus or the tram is here.", "car", "The car is here.", []),
        ("I", "car", None, []),
    ],
)
def test_only_a_word_that_surely_stands_for_the_expected_one_is_wrong(
    text, expected, reference, wrong
):
    assert _wrong(text, expected, reference) == wrong


@pytest.mark.parametrize(("said", "expected"), [("2", "two"), ("two", "2"), ("Two", "two")])
def test_a_number_is_right_in_words_and_in_digits(said, expected):
    assert _wrong(f"There are {said} cats.", expected, f"There are {expected} cats.") == []


def _wrong(text: str, expected: str, reference: str | None) -> list[str]:
    truth = read_truth({"expected": expected}, "p0")
    found = label_text(truth, text, reference).words
    return [text[w.start : w.end] for w in found if w.truth == HALLUCINATED]
