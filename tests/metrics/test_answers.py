"""When an answer is the reference."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.metrics.answers import correct, normalised


@pytest.mark.parametrize(
    ("answer", "reference", "right"),
    [
        ("The banana is blue.", "the banana is blue", True),
        ("Banana is  blue!", "The banana is blue.", True),
        ("The banana is yellow.", "The banana is blue.", False),
        ("Yes, there is a cat.", "yes", True),
        ("No.", "yes", False),
        ("Yesterday", "yes", False),
        ("", "yes", False),
        ("I think so, yes", "Yes", False),
        ("３", "3", True),
    ],
)
def test_by_hand(answer, reference, right):
    assert correct(answer, reference) is right


@given(st.text())
def test_laws(text):
    assert normalised(normalised(text)) == normalised(text)
    assert correct(text, text)
    assert correct(text.upper(), text.lower()) or text.upper().lower() != text.lower()
