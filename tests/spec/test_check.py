"""Declarations: what a check may contain, and what is said when it may not."""

from __future__ import annotations

import dataclasses

import pytest

import lvlm_audit
from lvlm_audit import Check, Severity, Stage, at_least, at_most
from lvlm_audit.errors import CheckError
from lvlm_audit.metrics.curves import image_divergence, token_probability
from lvlm_audit.properties import Kept, LateMutation, Rise, Value
from lvlm_audit.spec.check import Quorum

GOOD = {
    "statement": "The answer forms.",
    "stage": Stage.RAPID_EVOLUTION,
    "metric": token_probability,
    "property": Rise(),
    "holds_for": at_least(0.7, of="images"),
    "rationale": "A test.",
}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"statement": "  "}, "statement and rationale must say something"),
        ({"rationale": ""}, "statement and rationale must say something"),
        ({"stage": "rapid evolution"}, "stage must be a Stage, not 'rapid evolution'"),
        ({"severity": "error"}, "severity must be a Severity, not 'error'"),
        ({"metric": "probability"}, "metric must be a Metric, not 'probability'"),
        ({"property": Rise}, "property must be a property such as Rise"),
        ({"holds_for": 0.7}, r"holds_for must be at_least\(...\) or at_most"),
        ({"tokens": "contents"}, "tokens says 'contents'; use one of 'eligible', 'content'"),
        ({"lens": "norm"}, "lens says 'norm'; use one of 'normed', 'raw', None"),
        ({"holds_for": at_least(0.7, of="image")}, "holds_for says 'image'; use one of 'images'"),
        ({"holds_for": Quorum(">", 0.7, "images")}, "holds_for says '>'; use one of"),
        ({"holds_for": at_least(float("nan"), of="images")}, "nan is no bound"),
        (
            {"holds_for": at_least(0.7, of="mean")},
            "Rise is a statement, so holds_for must be a bound of images or tokens, not of 'mean'",
        ),
        (
            {"property": Value()},
            "Value is a quantity, so holds_for must be a bound of mean, not of 'images'",
        ),
        ({"holds_for": at_least(1.0, of="images")}, "a share of 1.0 can never be decided"),
        ({"holds_for": at_most(0, of="tokens")}, "a share of 0 can never be decided"),
        (
            {"metric": image_divergence, "property": Kept()},
            'is read off replays, where only content words are told apart; declare tokens="content"',
        ),
    ],
)
def test_a_bad_declaration_says_which_check_and_what_to_write(fields, message):
    with pytest.raises(CheckError, match=message) as caught:
        Check(**{**GOOD, **fields})
    assert str(caught.value).startswith(f"check {fields.get('statement', GOOD['statement'])!r}")


def test_a_good_declaration_is_frozen_and_equal_to_its_twin():
    check = Check(**GOOD)
    assert check == Check(**GOOD)
    assert check.severity is Severity.ERROR
    with pytest.raises(dataclasses.FrozenInstanceError):
        check.severity = Severity.WARN  # type: ignore[misc]


@pytest.mark.parametrize(
    ("fields", "unit"),
    [
        ({}, "share of images"),
        ({"holds_for": at_most(0.3, of="tokens"), "property": LateMutation()}, "share of tokens"),
        ({"property": Value(), "holds_for": at_least(0.2, of="mean")}, "probability"),
        (
            {
                "property": lvlm_audit.properties.LevelGap(),
                "metric": lvlm_audit.metrics.nucleus_mass,
                "holds_for": at_most(0.2, of="mean"),
            },
            "share of depth",
        ),
        (
            {
                "property": Value(),
                "metric": image_divergence,
                "tokens": "content",
                "holds_for": at_least(0.2, of="mean"),
            },
            "bits",
        ),
    ],
)
def test_the_unit_follows_from_the_declaration(fields, unit):
    assert Check(**{**GOOD, **fields}).unit == unit


def test_a_check_of_a_property_by_somebody_else():
    """Third parties give an object with `statement`, `unit` and `observe`; it need not be a dataclass."""

    class Anything:
        statement = True
        unit = None

        def observe(self, recording, curve, context):
            return curve[:, -1] >= 0

    declared = Check(**{**GOOD, "property": Anything()}).declared()
    assert (declared["property"], declared["parameters"]) == ("Anything", {})
