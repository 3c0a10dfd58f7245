"""Scoring: words against words in the same place, and what a wrong answer is put down to."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from lvlm_audit.demo import evaluation
from lvlm_audit.demo.evaluation import Score, evaluate, word_hits
from lvlm_audit.demo.questions import Question, ask
from lvlm_audit.demo.scenes import make_scene
from lvlm_audit.probes.scene_words import said_words


def description() -> Question:
    for seed in range(1000):
        scene = make_scene(seed)
        if len(scene.objects) == 2 and scene.objects[0].color != scene.objects[1].color:
            return ask(scene, "description", np.random.default_rng(0))
    raise AssertionError("no such scene")


def test_the_true_answer_hits_everything() -> None:
    for seed in range(100):
        for kind in ("description", "color", "count", "yes_no"):
            question = ask(make_scene(seed), kind, np.random.default_rng(seed))
            for role in {word.role for word in question.words}:
                assert all(word_hits(question, question.answer, role))


def test_swapped_and_missing_words_are_wrong() -> None:
    question = description()
    first, second = [word.text for word in question.words if word.role == "color"][:2]
    swapped = f"I see a {second} and a {first} thing."
    assert word_hits(question, swapped, "color")[:2] == [False, False]
    assert word_hits(question, f"I see a {first} thing.", "color")[:2] == [True, False]
    assert word_hits(question, "", "object") == [False, False]


def test_words_are_whole_words_and_plurals_count() -> None:
    assert said_words("Two SNOWMEN, and leaves.", "object") == ["snowman", "leaf"]
    assert said_words("A colored credit", "color") == []
    assert said_words("Not one is nobody's.", "count") == ["one"]


@pytest.mark.parametrize(("right", "total"), [(0, 10), (7, 10), (12, 12), (180, 200)])
def test_the_interval_is_wilson_s(right: int, total: int) -> None:
    reference = binomtest(right, total).proportion_ci(0.95, method="wilson")
    score = Score.of(right, total)
    assert score.low == pytest.approx(reference.low, abs=1e-6)
    assert score.high == pytest.approx(reference.high, abs=1e-6)


def test_nothing_tried_is_not_a_zero() -> None:
    assert math.isnan(Score.of(0, 0).share)


def test_evaluation_counts_and_finds_prior_driven_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that says "yellow" to every colour question, with or without the picture."""

    class Model:
        dtype = "torch.float32"

    def answer(
        model: Any, processor: Any, prompts: list[str], images: list[Any] | None
    ) -> list[str]:
        return ["It is yellow." for _ in prompts]

    monkeypatch.setattr(evaluation, "generate_answers", answer)
    result = evaluate(Model(), None, scenes=6, batch=5)
    assert result["wrong"]["color"]["total"] == result["wrong"]["color"]["prior_driven"] > 0
    # A missing word is wrong, but nothing was said that a prior could have said.
    assert result["wrong"]["yes_no"] == {"total": 6, "prior_driven": 0}
    asked = [q for i in range(6) for q in evaluation._questions_of(result["first_seed"] + i)]
    colors = [w for q in asked if q.kind in ("color", "description") for w in q.words
              if w.role == "color"]  # fmt: skip
    assert result["scores"]["color"]["total"] == len(colors)
    assert result["scores"]["object"]["right"] == 0
    assert result["scores"]["verdict"]["total"] == 6
    conflicts = sum(word.prior_conflict for word in colors)
    assert result["scores"]["color against the prior"]["total"] == conflicts
