"""Which answers changed, where they first differ, and which of them are ties."""

from __future__ import annotations

import dataclasses

import pytest

from lvlm_audit.comparing import compare
from lvlm_audit.document import Audit, Rounding
from tests.comparing.sides import FED, asked, side


def one(now: dict, before: dict, floors=(0.01, 0.05), **more) -> tuple[Audit, Audit]:
    made = []
    for probe, floor in ((now, floors[0]), (before, floors[1])):
        rounding = None if floor is None else Rounding(floor=floor, probes=1, tokens=9, runs=[])
        made.append(side([], [asked(0, **probe)], rounding=rounding))
    return dataclasses.replace(made[0], **more), made[1]


BEFORE = {"answer": "a red leaf", "tokens": [1, 2, 3], "margins": [9.0, 0.04, 9.0]}
NOW = {"answer": "a green leaf", "tokens": [1, 4, 3], "margins": [9.0, 0.05, 9.0]}


@pytest.mark.parametrize(
    ("now", "before", "floors", "ties"),
    [
        ({}, {}, (0.06, 0.05), 1),
        # The smaller floor counts: a damaged model's own noise excuses nothing.
        ({}, {}, (0.01, 0.05), 0),
        ({}, {}, (0.05, None), 1),
        ({}, {}, (0.01, 0.02), 0),
        ({}, {}, (None, None), 0),
        ({"margins": [9.0, 0.06, 0.0]}, {}, (0.05, 0.05), 0),
        ({}, {"margins": [0.0, 0.06, 0.0]}, (0.05, 0.05), 0),
        # Margins of later tokens say nothing: from the first on the texts are two.
        ({"margins": []}, {}, (0.05, 0.05), 0),
        ({"tokens": [7, 4, 3]}, {}, (0.05, 0.05), 0),
    ],
)
def test_a_tie_is_where_both_margins_lie_within_the_smaller_floor(now, before, floors, ties):
    found = compare(*one(NOW | now, BEFORE | before, floors)).answers
    assert (found.compared, found.changed, found.ties) == (1, 1 - ties, ties)
    assert found.examples[0].tie == bool(ties)


def test_the_first_token_that_differs():
    found = compare(*one(NOW, BEFORE)).answers.examples[0]
    assert (found.token, found.before, found.now) == (1, "a red leaf", "a green leaf")
    ended = {"answer": "a", "tokens": [1, 2], "margins": [9.0, 9.0]}
    assert compare(*one(ended, BEFORE)).answers.examples[0].token == 2


def test_tokens_of_two_vocabularies_are_no_ties():
    now, before = one(NOW, BEFORE)
    other = dataclasses.replace(now, fed={**FED, "tokenizer": {"class": "Another"}})
    assert compare(other, before).answers.ties == 0
    larger = dataclasses.replace(now, subject=dataclasses.replace(now.subject, vocabulary=50_000))
    assert compare(larger, before).answers.ties == 0


def test_the_same_text_in_other_tokens_is_no_change():
    assert compare(*one({**BEFORE, "tokens": [1, 2, 3, 2]}, BEFORE)).answers.changed == 0


def test_given_answers_are_not_the_models():
    now, before = one(NOW, BEFORE)
    given = dataclasses.replace(now, subject=dataclasses.replace(now.subject, answers="given"))
    assert compare(given, before).answers is None


def test_examples_by_loss_and_ties_last():
    rights = [(False, True), (True, False), (None, None), (True, True), (False, False)]
    before = [asked(i, right=then, answer="x", tokens=[1]) for i, (_, then) in enumerate(rights)]
    now = [
        asked(i, right=right, answer="y", tokens=[2], margins=[0.0 if i == 4 else 1.0])
        for i, (right, _) in enumerate(rights)
    ]
    before[4] = dataclasses.replace(before[4], margins=[0.0])
    found = compare(side([], now), side([], before)).answers
    assert [example.id for example in found.examples] == ["p00", "p02", "p03", "p01", "p04"]
    many = [asked(i, answer="y", tokens=[2]) for i in range(80)]
    found = compare(side([], many), side([], [dataclasses.replace(p, answer="x") for p in many]))
    assert (found.answers.changed, len(found.answers.examples)) == (80, 50)
