"""Scores of yes/no answers: by hand, against scikit-learn, and their intervals' unit."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from lvlm_audit.hallucination.answers import AnswerLabel, answer_label
from lvlm_audit.hallucination.labels import CORRECT, HALLUCINATED, UNLABELLED
from lvlm_audit.hallucination.scores import AnswerScores, score_answers
from tests.hallucination.answers import answer, said


def judged(dataset: str, *pairs: tuple[str, str], clusters: int = 100) -> AnswerScores:
    """The scores of answers, as (said, expected)."""
    labels = [
        answer_label(
            said(
                text,
                {"dataset": dataset, "expected": true},
                name=f"p{i}",
                cluster=str(i % clusters),
            )
        )
        for i, (text, true) in enumerate(pairs)
    ]
    (scores,) = score_answers(labels)
    return scores


def test_pope_by_hand() -> None:
    """3 TP, 1 FP, 1 TN, 2 FN: accuracy 4/7, precision 3/4, recall 3/5, F1 6/9, yes 4/7."""
    scores = judged(
        "POPE",
        ("Yes.", "yes"),
        ("yes", "yes"),
        ("I see one", "yes"),
        ("It isn't", "no"),
        ("There is no dog", "no"),
        ("No", "yes"),
        ("not there", "yes"),
    )
    assert scores.positive == "yes"
    assert scores.accuracy.value == pytest.approx(4 / 7)
    assert scores.precision.value == pytest.approx(3 / 4)
    assert scores.recall.value == pytest.approx(3 / 5)
    assert scores.f1.value == pytest.approx(6 / 9)
    assert scores.yes_share.value == pytest.approx(4 / 7)
    assert (scores.precision.n, scores.recall.n, scores.f1.n) == (4, 5, 6)
    assert scores.undecided == 0, "everything else counts as yes"


def test_amber_by_hand() -> None:
    """Of "no": 2 hits of 3 said and of 4 true; one answer is no response, and wrong."""
    scores = judged(
        "AMBER",
        ("No", "no"),
        ("no, there is none", "no"),
        ("No", "yes"),
        ("Yes", "no"),
        ("I cannot tell", "no"),
        ("Yes", "yes"),
    )
    assert scores.positive == "no"
    assert scores.accuracy.value == pytest.approx(3 / 6)
    assert scores.precision.value == pytest.approx(2 / 3)
    assert scores.recall.value == pytest.approx(2 / 4)
    assert scores.f1.value == pytest.approx(2 * (2 / 3) * (1 / 2) / (2 / 3 + 1 / 2))
    assert scores.undecided == 1


def test_the_same_answers_have_other_scores_where_the_positive_class_is_turned_round() -> None:
    pairs = [("Yes", "yes"), ("Yes", "no"), ("Yes", "yes"), ("No", "no")]
    assert judged("POPE", *pairs).precision.value == pytest.approx(2 / 3)
    assert judged("AMBER", *pairs).precision.value == 1.0


@given(
    st.lists(st.tuples(st.sampled_from(["Yes", "No"]), st.sampled_from(["yes", "no"])), min_size=1),
    st.sampled_from(["POPE", "AMBER", "HallusionBench", ""]),
)
def test_against_scikit_learn(pairs: list[tuple[str, str]], dataset: str) -> None:
    scores = judged(dataset, *pairs)
    guess, true = [p.lower() for p, _ in pairs], [t for _, t in pairs]
    options: Any = {"pos_label": scores.positive, "zero_division": float("nan")}
    assert scores.accuracy.value == pytest.approx(accuracy_score(true, guess))
    for score, reference in (
        (scores.precision, precision_score),
        (scores.recall, recall_score),
        (scores.f1, f1_score),
    ):
        expected = reference(true, guess, labels=["yes", "no"], **options)
        nan = float("nan") if score.value is None else score.value
        assert nan == pytest.approx(expected, nan_ok=True)
        if score.interval is not None and score.value is not None:
            assert 0 <= score.interval.low <= score.value <= score.interval.high <= 1


def test_images_are_resampled_and_not_questions() -> None:
    pairs = [("Yes", "yes"), ("Yes", "no")] * 60
    apart, few = judged("POPE", *pairs), judged("POPE", *pairs, clusters=4)
    assert (apart.accuracy.images, few.accuracy.images) == (100, 4)
    assert few.accuracy.interval is not None
    assert (few.accuracy.interval.low, few.accuracy.interval.high) == (0.0, 1.0)
    assert apart.accuracy.interval is not None
    assert 0.3 < apart.accuracy.interval.low < 0.5 < apart.accuracy.interval.high < 0.7


def test_the_interval_of_f1_against_resampling_whole_images() -> None:
    """The bootstrap of the published formula, written out with scikit-learn."""
    import numpy as np

    random = np.random.default_rng(0)
    true = random.random((80, 3)) < 0.5
    guess = np.where(random.random((80, 1)) < 0.3, ~true, true)
    word = np.array(["no", "yes"])
    labels = [
        answer_label(
            said(
                word[int(guess[i, k])],
                {"dataset": "POPE", "expected": str(word[int(true[i, k])])},
                name=f"{i}-{k}",
                cluster=str(i),
            )
        )
        for i in range(80)
        for k in range(3)
    ]
    (scores,) = score_answers(labels)
    drawn = [
        f1_score(true[draw].ravel(), guess[draw].ravel())
        for draw in random.integers(0, 80, size=(1500, 80))
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert scores.f1.interval is not None
    assert scores.f1.interval.low == pytest.approx(low, abs=0.02)
    assert scores.f1.interval.high == pytest.approx(high, abs=0.02)


def test_data_sets_are_scored_apart_and_what_is_unlabelled_is_counted() -> None:
    labels = [
        answer_label(said("No", {"dataset": "POPE", "expected": "no"})),
        answer_label(said("No", {"dataset": "AMBER", "expected": "no"})),
        answer_label(said("No", {"dataset": "POPE"})),
    ]
    pope, amber = score_answers(labels)
    assert (pope.scheme[:4], pope.unlabelled, amber.unlabelled) == ("POPE", 1, 0)
    assert score_answers([]) == []


def test_nothing_in_a_denominator_is_no_zero() -> None:
    scores = judged("POPE", ("No", "no"))
    assert scores.precision == scores.recall == scores.f1
    assert (scores.f1.value, scores.f1.interval, scores.f1.n) == (None, None, 0)


@pytest.mark.parametrize(
    ("text", "labels", "truth"),
    [
        ("Yes", {"expected": "yes"}, CORRECT),
        ("Yes", {"expected": " NO "}, HALLUCINATED),
        ("A dog", {"expected": "yes"}, HALLUCINATED),
        ("A dog", {"expected": "dog"}, UNLABELLED),
        ("A dog", {}, UNLABELLED),
        ("Unclear", {"dataset": "HallusionBench", "expected": "no"}, HALLUCINATED),
        (
            "Unclear",
            {"dataset": "HallusionBench", "expected": "no", "undecided_is_right": True},
            CORRECT,
        ),
        (
            "No, the sun is red.",
            {"kind": "yes_no", "truth": "no", "words": [{"text": "No", "role": "verdict"}]},
            CORRECT,
        ),
    ],
)
def test_one_answer(text: str, labels: dict[str, Any], truth: int) -> None:
    assert answer_label(said(text, labels)).truth == truth


def test_special_tokens_are_no_part_of_the_answer() -> None:
    trace = answer(["no", "</s>"], {"dataset": "POPE", "expected": "no"}, special=[1])
    found = answer_label(trace)
    assert isinstance(found, AnswerLabel)
    assert (found.said, found.truth) == ("no", CORRECT)
