"""Whether an answer is right as a whole, and how many of its reference's words it says."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit import Check, Stage, at_least
from lvlm_audit.demo.probes import demo_probes
from lvlm_audit.document import Verdict
from lvlm_audit.hallucination.right import reference_words, right, right_reference
from lvlm_audit.metrics import right_answer
from lvlm_audit.properties import Holds
from lvlm_audit.spec.judge import judge, observe
from tests.evidence import evidence_of
from tests.hallucination.answers import answer, said

CAPTION = {
    "words": [
        {"text": "red", "role": "color", "start": 2},
        {"text": "leaf", "role": "object", "start": 6},
        {"text": "white", "role": "color", "start": 16},
    ]
}
COUNT = {"kind": "count", "words": [{"text": "two", "role": "count", "start": 10}]}


@pytest.mark.parametrize(
    ("text", "labels", "reference", "expected"),
    [
        # Nothing says what is right.
        ("A dog.", {}, None, None),
        ("A dog.", {}, "  ", None),
        ("A dog.", {"grounded": ["dog"], "hallucinated": ["cat"]}, None, None),
        # A reference: word for word, but for case, points, articles, digits.
        ("The Dog !", {}, "a dog", True),
        ("Two dogs.", {}, "2 dogs", True),
        ("A big dog.", {}, "a dog", False),
        ("Yes, I do.", {}, "Yes.", True),
        ("No, I do not.", {}, "yes", False),
        # Yes and no: the data set's own rule, whatever the wording.
        ("There is not any.", {"expected": "no", "dataset": "POPE"}, None, True),
        ("There is not any.", {"expected": "no", "dataset": "AMBER"}, None, False),
        ("No idea.", {"expected": "yes"}, "Yes, I see a dog.", False),
        ("Hm.", {"expected": "yes", "undecided_is_right": True}, None, True),
        # An expected word.
        ("It is a red dog.", {"expected": "dog"}, None, True),
        ("It is 2.", {"expected": "two"}, None, True),
        ("It is a cat.", {"expected": "dog"}, None, False),
        ("A dog and a cat.", {"expected": "dog", "hallucinated": ["cat"]}, None, False),
        ("It is a dog.", {"expected": "A"}, None, False),
        ("A.", {"expected": "A"}, None, True),
        # Lists beside a reference: a true word, and no untrue one.
        (
            "A dog on the grass.",
            {"grounded": ["dog"], "hallucinated": ["cat"]},
            "It is a dog.",
            True,
        ),
        ("A cat.", {"grounded": ["dog"], "hallucinated": ["cat"]}, "It is a dog.", False),
        ("A dog and a cat.", {"grounded": ["dog"], "hallucinated": ["cat"]}, "It is a dog.", False),
        # Labels that call a word of the reference wrong: it says nothing of what is right.
        ("A cat.", {"hallucinated": ["cat"]}, "A cat.", None),
        ("A dog.", {"spans": [{"text": "cat", "start": 2, "hallucinated": True}]}, "A cat.", None),
        ("A cat.", {"spans": [{"text": "cat", "start": 2, "hallucinated": False}]}, "A cat", True),
        # Drawn scenes: each role's words in order, and no others.
        ("There are two.", COUNT, "There are two objects.", True),
        ("There are three objects.", COUNT, "There are two objects.", False),
        ("There are objects.", COUNT, "There are two objects.", False),
        ("A red leaf on white.", CAPTION, "A red leaf on a white background.", True),
        ("A white leaf on red.", CAPTION, "A red leaf on a white background.", False),
        ("A red leaf, a sun on white.", CAPTION, "A red leaf on a white background.", False),
    ],
)
def test_by_hand(
    text: str, labels: dict[str, Any], reference: str | None, expected: bool | None
) -> None:
    assert right(said(text, labels, reference=reference)) is expected


def test_every_true_answer_of_the_demo_is_right_and_says_all_its_words() -> None:
    for probe in demo_probes(24, questions=4):
        assert probe.answer is not None
        trace = said(probe.answer, probe.labels, reference=probe.answer, prompt=probe.prompt)
        assert right(trace) is True
        asked, found = reference_words(trace)
        assert asked == found > 0


@pytest.mark.parametrize("kind", ["description", "color", "count", "yes_no"])
def test_another_scenes_answer_to_the_same_question_is_wrong(kind: str) -> None:
    asked = [p for p in demo_probes(60, questions=4) if p.labels["kind"] == kind]
    pairs = [
        (probe, other)
        for probe in asked
        for other in asked
        if probe.prompt == other.prompt and probe.labels["truth"] != other.labels["truth"]
    ]
    assert len(pairs) > 10
    for probe, other in pairs:
        trace = said(str(other.answer), probe.labels, reference=probe.answer, prompt=probe.prompt)
        assert right(trace) is False


def test_an_answer_that_was_given_is_no_answer_of_the_model() -> None:
    trace = dataclasses.replace(said("A dog.", reference="A dog."), given=True)
    assert right(trace) is None
    assert reference_words(trace) == (0, 0)


class TestReferenceWords:
    def count(self, text: str, reference: str, prompt: str = "What is it?") -> tuple[int, int]:
        return reference_words(said(text, reference=reference, prompt=prompt))

    def test_content_words_count_once_in_any_number(self) -> None:
        assert self.count("Dogs!", "A dog beside the other dogs, on grass.") == (2, 1)

    def test_what_the_question_says_is_not_asked(self) -> None:
        assert self.count("The leaf.", "The leaf is red.", "What color is the leaf?") == (1, 0)

    def test_number_words_are_digits(self) -> None:
        assert self.count("2 dogs", "two dogs") == (2, 2)
        assert self.count("two dogs", "2 dogs") == (2, 2)

    def test_a_word_inside_another_is_not_found(self) -> None:
        assert self.count("A carpet.", "A car.") == (1, 0)

    def test_scripts_without_spaces_count_by_letters(self) -> None:
        assert self.count("一只狗", "一只猫") == (3, 2)

    def test_none_where_labels_call_the_reference_wrong(self) -> None:
        trace = said("A cat.", {"hallucinated": ["cat"]}, reference="A cat.")
        assert right_reference(trace) is None
        assert reference_words(trace) == (0, 0)

    @given(st.text(max_size=40), st.text(max_size=40))
    def test_laws(self, reference: str, text: str) -> None:
        asked, found = self.count(text, reference)
        assert 0 <= found <= asked
        assert self.count(reference, reference) == (asked, asked)


class TestTheMetric:
    CHECK = Check(
        "Right.",
        stage=Stage.WHOLE_ANSWER,
        metric=right_answer,
        property=Holds(0.5),
        holds_for=at_least(0.6, of="answers"),
        rationale="A test that says why it asks this.",
        name="right",
    )

    def test_one_value_an_answer_whatever_its_length(self) -> None:
        traces = [
            said("A dog .", reference="a dog", name="p0", cluster="one"),
            said("A very big and old dog .", reference="a dog", name="p1", cluster="one"),
            said("Cat", reference="cat", name="p2", cluster="two"),
            said("Cat", name="p3", cluster="three"),
        ]
        seen = observe(self.CHECK, evidence_of("normed", traces))
        assert seen.estimate is not None
        assert seen.estimate.value == pytest.approx(2 / 3)
        assert seen.per_image == {"one": 0.5, "two": 1.0}
        assert (seen.eligible.tokens, seen.eligible.tokens_recorded) == (3, 4)
        assert seen.eligible.excluded == {"the property does not apply": 1}
        assert seen.counterexamples == ("p1",)

    def test_special_tokens_change_nothing(self) -> None:
        trace = answer(["</s>", "A dog"], special=[0], reference="a dog")
        assert np.asarray(right_answer.curve(trace)).tolist() == [[1.0], [1.0]]
        assert observe(self.CHECK, evidence_of("normed", [trace])).eligible.tokens == 1

    def test_without_references_and_labels_it_says_so(self) -> None:
        (finding,) = judge([observe(self.CHECK, evidence_of("normed", [said("A dog")]))])
        assert finding.verdict is Verdict.NOT_APPLICABLE
        assert "no probe says what a right answer is" in finding.message
