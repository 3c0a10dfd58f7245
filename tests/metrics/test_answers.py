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
        ("Two dogs.", "2 dogs", True),
        ("Twenty-one", "21", True),
        ("twenty dogs, one cat", "21 dogs", False),
        ("1,000 people", "1000 people", True),
        ("3.5", "3 5", False),
        ("3.5", "35", False),
        ("-5", "5", False),
        ("\N{MINUS SIGN}5", "-5", True),
        ("well-known", "well known", True),
        # The choice "A" is no article: nothing follows it.
        ("", "A", False),
        ("The", "A", False),
        ("B", "A", False),
        ("a.", "A", True),
        ("+", "-", False),
        ("don\N{RIGHT SINGLE QUOTATION MARK}t know", "Don't know", True),
        ("dont know", "don't know", False),
        ("红色的狗。", "红色的狗", True),
        ("红色的狗", "蓝色的狗", False),
    ],
)
def test_by_hand(answer, reference, right):
    assert correct(answer, reference) is right


@given(st.text())
def test_laws(text):
    assert normalised(normalised(text)) == normalised(text)
    assert correct(text, text)
    assert correct(text.upper(), text.lower()) or text.upper().lower() != text.lower()
