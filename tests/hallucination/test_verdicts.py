"""Yes or no: each data set's rule against its published code, and by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.hallucination.verdicts import rule_of

TEXTS = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from(
            ["No", "no", "not", "yes", "Yes,", "No,", "nothing", ".", ",", " ", "\n", "NO"]
        ),
        max_size=10,
    ).map(" ".join),
    st.text(alphabet="Nonotyes,. \n", max_size=20),
)


def published_pope(text: str) -> str:
    """What POPE's evaluation does with an answer, as its paper and code describe it."""
    sentence = text.partition(".")[0].replace(",", "")
    negative = {"No", "not", "no"}
    return "no" if negative.intersection(sentence.split(" ")) else "yes"


@given(TEXTS)
def test_pope_against_the_published_rule(text: str) -> None:
    said = rule_of("POPE").read(text)
    assert said.verdict == published_pope(text.strip())
    word = text[said.start : said.end]
    if said.verdict == "no":
        assert word.replace(",", "") in ("No", "not", "no")
    else:
        assert word.lower() in ("", "yes")


@given(TEXTS, st.sampled_from(["POPE", "AMBER", "HallusionBench", "", "\x1b"]))
def test_a_deciding_word_lies_in_the_text(text: str, dataset: str) -> None:
    said = rule_of(dataset).read(text)
    assert 0 <= said.start <= said.end <= len(text)
    assert not text[said.start : said.end].startswith((" ", ",", "\n"))
    assert said == rule_of(dataset).read(text)


@pytest.mark.parametrize(
    ("dataset", "text", "verdict", "word"),
    [
        ("POPE", "No, there is no dog.", "no", "No"),
        ("POPE", " \n no", "no", "no"),
        ("POPE", "There is, n,o,t, one", "no", "n,o,t"),
        ("POPE", "Yes. There is no dog.", "yes", "Yes"),
        ("POPE", "NO", "yes", ""),
        ("POPE", "There isn't one", "yes", ""),
        ("POPE", "", "yes", ""),
        ("AMBER", "Yes", "yes", "Yes"),
        ("AMBER", "**no**, it is", "no", "no"),
        ("AMBER", "nothing", None, ""),
        ("AMBER", "I think yes", None, ""),
        ("HallusionBench", "Yes, it is.", "yes", "Yes"),
        ("HallusionBench", "I am not sure.", None, ""),
        ("", "I think yes, not no", "yes", "yes"),
        ("", "It isn\u2019t there", "no", "isn\u2019t"),
        ("", "It cannot be", "no", "cannot"),
        ("", "notable yesterday", None, ""),
    ],
)
def test_by_hand(dataset: str, text: str, verdict: str | None, word: str) -> None:
    said = rule_of(dataset).read(text)
    assert (said.verdict, text[said.start : said.end]) == (verdict, word)


def test_only_amber_turns_the_classes_round() -> None:
    assert {d: rule_of(d).positive for d in ("POPE", "AMBER", "HallusionBench", "")} == {
        "POPE": "yes",
        "AMBER": "no",
        "HallusionBench": "yes",
        "": "yes",
    }
