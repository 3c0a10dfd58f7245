"""Token classes: the rules by example, and what holds for any text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.errors import TraceError
from lvlm_audit.traces import words
from lvlm_audit.traces.trace import TokenClass
from lvlm_audit.traces.words import classify

CODES = {
    "C": TokenClass.CONTENT,
    "F": TokenClass.FUNCTION,
    "=": TokenClass.COPIED,
    ".": TokenClass.PUNCTUATION,
    "+": TokenClass.CONTINUATION,
    "*": TokenClass.SPECIAL,
}


def codes(pieces: list[str], prompt: str = "") -> str:
    """One character a piece; a piece in angle brackets is special."""
    special = [piece.startswith("<|") for piece in pieces]
    names = {cls: code for code, cls in CODES.items()}
    return "".join(names[c] for c in classify(pieces, special=special, prompt=prompt))


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        # a plain answer
        (["The", " ban", "ana", " is", " blue", ".", "<|im_end|>"], "FC+FC.*"),
        (["A", " crow", "\n", "\n", "on", " snow"], "FC..FC"),
        (["Yes", ",", " two", " red", " hearts", "!"], "C.CCC."),
        (["No", ".", " It", " does", " not", "."], "C.FFF."),
        # the whole word decides: "the" begins "theatre", "is" begins "island"
        ([" the", "atre"], "C+"),
        ([" is", "land"], "C+"),
        ([" n", "ot"], "F+"),
        (["th", "e"], "F+"),
        # apostrophes
        ([" don", "'t"], "F+"),
        ([" don", "\u2019", "t"], "F++"),
        ([" I", "'m", " sure"], "F+C"),
        ([" cat", "'s", " ear"], "C+C"),
        ([" '", "cat", "'", " sat"], ".C.C"),
        ([" dogs", "'", " tails"], "C.C"),
        ([" they", "'", "re"], "F++"),
        # hyphens part words
        ([" blue", "-", "green"], "C.C"),
        ([" well", "-known"], "CC"),
        ([" on", "-", "the", "-", "go"], "F.F.C"),
        # numbers
        ([" 3"], "C"),
        ([" 1", "2", " apples"], "C+C"),
        ([" 3", ".", "5", "."], "C++."),
        ([" 1", ",", "000", ","], "C++."),
        ([" 3", ".", " 5"], "C.C"),
        ([" 3", "D"], "C+"),
        # no text of a word
        ([" ", "\n", "\t\n", "...", " (", '"', "$", "*", "_"], "........."),
        (["\u2764", "\ufe0f", "\U0001f600", " ok"], "...C"),
        # a piece of several words, or of a word's end and the next word
        ([" of the", " New York", "x the"], "FC+"),
        ([" (", "the", " (the", " (red", ".The"], ".FFCF"),
        # half characters
        ([" caf", "\ufffd", "\ufffd", "s"], "C+++"),
        (["\ufffd", "\ufffd", "\ufffd", " red"], "+++C"),
        (["", "", "\U0001f600", " red"], "++.C"),
        # special tokens end a word
        ([" ban", "<|x|>", "ana"], "C*C"),
        (["<|the|>"], "*"),
        # other scripts: letters with marks, joiners, and scripts without spaces
        (["d\u00e9", "j\u00e0", " vu"], "C+C"),
        (["e\u0301", "te\u0301"], "C+"),
        ([" \u0939\u093f\u0928", "\u094d\u0926\u0940"], "C+"),
        ([" \u0645\u06cc\u200c", "\u062e\u0648\u0627\u0647\u0645"], "C+"),
        ([" \ud55c\uad6d", "\uc5b4"], "C+"),
        (["\u8fd9", "\u662f", "\u7ea2\u8272", "\u3002"], "CCC."),
        (["\u30d0\u30ca\u30ca", "\u30fb", "\u306f", "\u3001"], "C.C."),
        (["\u0e01\u0e25\u0e49", "\u0e27\u0e22"], "CC"),
        (["\u624b\u673a", "iPhone", "\u662f", " red"], "CCCC"),
    ],
)
def test_by_example(pieces: list[str], expected: str) -> None:
    assert codes(pieces) == expected


@pytest.mark.parametrize(
    ("prompt", "pieces", "expected"),
    [
        ("What color is the banana?", ["The", " ban", "ana", " is", " blue"], "F=+FC"),
        ("What color is the BANANA?", [" Banana", " bananas"], "=C"),
        ("Is the cat's eye green?", [" cat", "'s", " cat", " eyes", " Green"], "=+=C="),
        ("Is it \u201cred\u201d, or 3.5?", [" red", " 3", ".", "5", " 3"], "==++C"),
        ("A blue-green caf\u00e9", [" green", " cafe\u0301", " blue"], "==="),
        ("The the", [" the"], "F"),
        ("", [" red"], "C"),
    ],
)
def test_words_of_the_prompt(prompt: str, pieces: list[str], expected: str) -> None:
    assert codes(pieces, prompt) == expected


def test_lengths_must_agree() -> None:
    with pytest.raises(TraceError, match="2 pieces, but 1 marks"):
        classify(["a", "b"], special=[False], prompt="")


def test_stop_words_are_closed_class_words_in_lower_case() -> None:
    stop = words._stop_words()
    assert 130 <= len(stop) <= 260
    assert all(w == w.lower() and w.replace("'", "").isalpha() for w in stop)
    assert {"the", "of", "and", "is", "not", "very", "don't"} <= stop
    content = {
        "yes",
        "no",
        "one",
        "two",
        "ten",
        "red",
        "black",
        "many",
        "few",
        "left",
        "right",
        "top",
    }
    assert not stop & content


def test_a_long_answer_takes_no_longer_per_word() -> None:
    many = [" red", " ban", "ana", "."] * 5000
    assert codes(many) == "CC+." * 5000


ANY_TEXT = st.text(max_size=8) | st.text(
    st.sampled_from("ab '\u2019-.,1\ufffd\u4e00\u3002\u0301"), max_size=8
)
PIECES = st.lists(st.tuples(ANY_TEXT, st.booleans()), max_size=8)
LETTERS = st.text(st.characters(codec="utf-8", categories=["Ll", "Lu"]), min_size=1, max_size=8)
WORD = st.sampled_from(
    ["the", "isn't", "banana", "3.5", "Crow", "d\u00e9j\u00e0"]
) | LETTERS.filter(lambda w: not any(words.unspaced(c) for c in w))


@given(PIECES, ANY_TEXT)
def test_one_class_a_piece_and_special_stays_special(
    pieces: list[tuple[str, bool]], prompt: str
) -> None:
    special = [mark for _, mark in pieces]
    classes = classify([text for text, _ in pieces], special=special, prompt=prompt)
    assert [cls is TokenClass.SPECIAL for cls in classes] == special


@given(PIECES)
def test_the_first_piece_continues_nothing(pieces: list[tuple[str, bool]]) -> None:
    texts = [text.replace("\ufffd", "x") for text, _ in pieces if text]
    if texts:
        first = classify(texts, special=[False] * len(texts), prompt="")[0]
        assert first is not TokenClass.CONTINUATION


@given(st.lists(WORD, min_size=1, max_size=5), st.data(), st.text(max_size=20))
def test_how_a_word_is_cut_does_not_change_its_class(
    answer: list[str], data: st.DataObject, prompt: str
) -> None:
    whole = [f" {word}" for word in answer]
    expected = classify(whole, special=[False] * len(whole), prompt=prompt)
    pieces: list[str] = []
    firsts: list[int] = []
    for word in whole:
        # The first cut leaves the space and a letter, or more, in the first piece.
        cuts = data.draw(st.sets(st.integers(2, max(2, len(word) - 1)), max_size=3))
        ends = sorted({0, len(word), *(c for c in cuts if c < len(word))})
        firsts.append(len(pieces))
        pieces += [word[a:b] for a, b in pairwise(ends)]
    classes = classify(pieces, special=[False] * len(pieces), prompt=prompt)
    assert tuple(classes[i] for i in firsts) == expected
    rest = {cls for i, cls in enumerate(classes) if i not in firsts}
    assert rest <= {TokenClass.CONTINUATION}


@given(st.lists(WORD, min_size=1, max_size=5))
def test_a_word_of_the_prompt_is_never_content(answer: list[str]) -> None:
    pieces = [f" {word}" for word in answer]
    classes = classify(pieces, special=[False] * len(pieces), prompt=", ".join(answer))
    assert set(classes) <= {TokenClass.COPIED, TokenClass.FUNCTION}


@given(st.text(st.characters(categories=["P", "S", "Z"]), min_size=1, max_size=5))
def test_what_holds_no_letter_is_punctuation(text: str) -> None:
    if "\ufffd" not in text:
        assert classify([text], special=[False], prompt=text) == (TokenClass.PUNCTUATION,)
