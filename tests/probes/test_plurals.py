"""Plurals by rule, there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.probes.plurals import plurals, singulars


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("dog", "dogs"),
        ("bench", "benches"),
        ("bus", "buses"),
        ("berry", "berries"),
        ("toy", "toys"),
        ("potato", "potatoes"),
        ("photo", "photos"),
        ("person", "people"),
        ("knife", "knives"),
    ],
)
def test_both_ways(one: str, many: str) -> None:
    assert many in list(plurals(one))
    assert one in list(singulars(many))


@pytest.mark.parametrize("word", ["", "s", "is", "as", "es", "ies"])
def test_short_words_have_no_other_form(word: str) -> None:
    assert list(singulars(word)) == []


@given(st.text(alphabet="abcinosxyzhmelf", min_size=1, max_size=8))
def test_a_singular_has_the_word_for_its_plural(word: str) -> None:
    assert all(word in list(plurals(one)) for one in singulars(word))
    assert all(word in list(singulars(many)) for many in plurals(word))
