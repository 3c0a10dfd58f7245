"""Questions' answers are true of their scene, and the marked words stand where they say."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.demo.probes import demo_probes
from lvlm_audit.demo.questions import QUESTION_KINDS, ask, color_question
from lvlm_audit.demo.scenes import HELD_OUT_SEED, KINDS, PROBE_SEED, make_scene
from lvlm_audit.probes.fingerprint import fingerprint
from tests.effort import examples

CASES = given(st.integers(0, 10**9), st.sampled_from(QUESTION_KINDS), st.integers(0, 10**6))
NUMBERS = ("no", "one", "two", "three")


@examples(200)
@CASES
def test_words_stand_in_the_answer_where_they_say(seed: int, kind: str, wording: int) -> None:
    question = ask(make_scene(seed), kind, np.random.default_rng(wording))
    assert question.words
    for word in question.words:
        assert question.answer[word.start : word.start + len(word.text)] == word.text
    assert question.answer[0].isupper()
    assert question.answer.endswith(".")
    assert "{" not in question.answer
    assert "{" not in question.text


@examples(150)
@given(st.integers(0, 10**9), st.integers(0, 10**6))
def test_descriptions_name_every_object_in_order(seed: int, wording: int) -> None:
    scene = make_scene(seed)
    question = ask(scene, "description", np.random.default_rng(wording))
    objects = [w.text for w in question.words if w.role == "object"]
    colors = [w for w in question.words if w.role == "color"]
    assert objects == [t.kind for t in scene.objects]
    assert [w.text for w in colors[: len(objects)]] == [t.color for t in scene.objects]
    assert [w.prior_conflict for w in colors[: len(objects)]] == [
        t.conflicts_with_prior for t in scene.objects
    ]
    assert [w.text for w in colors[len(objects) :]] in ([], [scene.background])


@examples(150)
@given(st.integers(0, 10**9), st.integers(0, 10**6))
def test_color_questions_ask_about_one_thing(seed: int, wording: int) -> None:
    scene = make_scene(seed)
    question = ask(scene, "color", np.random.default_rng(wording))
    if "back" in question.answer:
        assert question.truth == scene.background
        return
    asked = [kind for kind in KINDS if kind in question.text]
    assert len(asked) == 1
    assert scene.count(asked[0]) == 1
    (thing,) = [t for t in scene.objects if t.kind == asked[0]]
    assert question.truth == thing.color
    assert question.words[0].prior_conflict == thing.conflicts_with_prior


@examples(150)
@given(st.integers(0, 10**9), st.integers(0, 10**6))
def test_counts_are_right(seed: int, wording: int) -> None:
    scene = make_scene(seed)
    question = ask(scene, "count", np.random.default_rng(wording))
    asked = [kind for kind, (plural, _) in KINDS.items() if plural in question.text]
    number = scene.count(asked[0]) if asked else len(scene.objects)
    assert question.truth == str(number)
    assert question.words[0].text == NUMBERS[number]


@examples(150)
@given(st.integers(0, 10**9), st.integers(0, 10**6))
def test_yes_and_no_are_right(seed: int, wording: int) -> None:
    scene = make_scene(seed)
    question = ask(scene, "yes_no", np.random.default_rng(wording))
    (kind,) = [kind for kind in KINDS if f" {kind}" in question.text]
    if question.text.startswith("Is the "):
        (thing,) = [t for t in scene.objects if t.kind == kind]
        true = question.text == f"Is the {kind} {thing.color}?"
        assert question.answer.endswith(f"the {kind} is {thing.color}.")
    else:
        true = scene.count(kind) > 0
    assert question.truth == ("yes" if true else "no")
    assert question.answer.lower().startswith(question.truth + ",")


def test_yes_and_no_are_balanced() -> None:
    rng = np.random.default_rng(0)
    truths = [ask(make_scene(seed), "yes_no", rng).truth for seed in range(1500)]
    assert 0.4 < truths.count("yes") / len(truths) < 0.6


def test_a_plain_color_question() -> None:
    scene = make_scene(3)
    question = color_question(scene.objects[0])
    assert question.text == f"What color is the {scene.objects[0].kind}?"
    assert question.answer == f"The {scene.objects[0].kind} is {scene.objects[0].color}."


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'smell'"):
        ask(make_scene(0), "smell", np.random.default_rng(0))


def test_the_probe_set_is_on_held_out_scenes() -> None:
    probes = demo_probes()
    assert len(probes) == len({p.id for p in probes}) == len({p.cluster for p in probes}) == 48
    assert [p.labels["kind"] for p in probes] == list(QUESTION_KINDS) * 12
    seeds = [int(p.cluster.removeprefix("scene-")) for p in probes]
    assert min(seeds) >= PROBE_SEED > HELD_OUT_SEED
    assert json.loads(json.dumps(probes[0].labels)) == probes[0].labels
    picture = probes[0].image.open()
    assert (picture.mode, picture.size) == ("RGB", (288, 288))


def test_probe_sets_repeat_by_seed_and_share_no_scene_across_seeds() -> None:
    first, again, other = (demo_probes(4, seed, questions=2) for seed in (1, 1, 2))
    assert first == again
    assert not {p.cluster for p in first} & {p.cluster for p in other}
    assert len(first) == 8
    assert len({p.cluster for p in first}) == 4


def test_demo_set() -> None:
    probes = demo_probes(8)
    assert Counter(p.labels["kind"] for p in probes) == dict.fromkeys(QUESTION_KINDS, 2)
    assert len({p.cluster for p in probes}) == len({p.id for p in probes}) == 8
    for probe in probes:
        assert probe.image is not None
        assert probe.image.open().mode == "RGB"
        assert probe.answer
        json.dumps(probe.labels)


def test_demo_set_is_fixed_by_its_seed() -> None:
    assert fingerprint(demo_probes(2)) == fingerprint(demo_probes(2, seed=0))
    first, other = demo_probes(2), demo_probes(2, seed=1)
    assert not {p.cluster for p in first} & {p.cluster for p in other}


def test_demo_set_is_never_empty() -> None:
    with pytest.raises(ValueError, match="at least one probe, not 0"):
        demo_probes(0)
