"""Which generated tokens are words that say something. Pure Python, from the pieces' text alone.

Tokens are pieces of text. A finding about "the word that the model is saying" may count only the
piece that decides on a word, and wants to know whether the word says something about the picture.

Words are runs of letters, digits and combining marks. An apostrophe between two letters ("don't"),
a point or comma between two digits ("3.5") and a zero-width joiner between two letters belong to
their word. A hyphen does not: in "blue-green" or "well-known" each part is a word, since each is a
decision of its own.

The stop-word list (`stop_words.txt`) is English only: German or Hindi function words are taken for
content. Chinese, Japanese, Thai, Lao, Khmer and Burmese do not part words by spaces: there every
piece is content unless it is punctuation, and neither continuation nor copying is told apart.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from lvlm_audit.errors import TraceError
from lvlm_audit.traces.trace import TokenClass

_Span = tuple[int, int]

# What a tokenizer's decoder writes for bytes that are not a whole character.
_INCOMPLETE = "\ufffd"
_APOSTROPHES = "'\u2019\u02bc"
# Zero-width (non-)joiners shape letters in Persian and in Indian scripts without parting words.
_JOINERS = _APOSTROPHES + "\u200c\u200d"
_NUMBER_POINTS = ".,"

# Scripts without spaces, by the first and last code point of their blocks.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # Chinese radicals
    (0x3005, 0x3007),  # Chinese iteration mark, closing mark and zero
    (0x3041, 0x30FF),  # Japanese kana
    (0x31F0, 0x31FF),  # Japanese kana
    (0x3400, 0x4DBF),  # Chinese characters
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9D),  # Japanese kana, half width
    (0x20000, 0x3FFFF),  # Chinese characters
)
IN_WORD = "[^\\W_" + "".join(f"{chr(first)}-{chr(last)}" for first, last in _UNSPACED) + "]"
"""Regular expression of a letter or digit of a script with spaces: beside one, a word goes on."""


def classify(
    pieces: Sequence[str], *, special: Sequence[bool], prompt: str
) -> tuple[TokenClass, ...]:
    """What each generated token is, by these rules, the first that holds.

    1. A special token is `SPECIAL`, and ends the word before it.
    2. A piece with half a character (U+FFFD), or with no text at all because its character is
       completed by a later piece, is a `CONTINUATION`: it cannot be read by itself.
    3. A piece that begins inside a word is a `CONTINUATION` ("ana" of "banana", "'t" of "don't").
    4. A piece without letters or digits is `PUNCTUATION` (spaces, symbols and emoji, too).
    5. Else the piece begins a word, and the whole word decides, its continuations included and
       without regard to case: a stop word is `FUNCTION`, a word of the prompt is `COPIED`,
       any other, numbers included, is `CONTENT`. A possessive or contracted word is also looked up
       by what stands before its apostrophe ("cat's", "they're"). Of several words in one piece,
       one of content makes it content, else one that was copied makes it copied.

    A word in the prompt is matched as it is written: "bananas" is no copy of "banana".

    Args:
        pieces: the tokens' texts, leading spaces kept, such that joined they are the answer.
        special: for each piece, whether it is a control token and not text.
        prompt: the question, without chat markup.

    Returns:
        One class a piece.

    Raises:
        TraceError: `pieces` and `special` differ in length.
    """
    if len(pieces) != len(special):
        raise TraceError(f"{len(pieces)} pieces, but {len(special)} marks of which are special.")
    texts = [
        " " if is_special else piece for piece, is_special in zip(pieces, special, strict=True)
    ]
    answer = "".join(texts)
    words = list(word_spans(answer))
    known = {form for start, end in word_spans(prompt) for form in _forms(prompt[start:end])}
    classes = []
    begin = at = 0  # of the piece, in characters of the answer; of the words that end after that
    for text, is_special in zip(texts, special, strict=True):
        end = begin + len(text)
        while at < len(words) and words[at][1] <= begin:
            at += 1
        if is_special:
            classes.append(TokenClass.SPECIAL)
        elif not text or _INCOMPLETE in text:
            classes.append(TokenClass.CONTINUATION)
        elif any(unspaced(character) for character in text):
            classes.append(TokenClass.CONTENT)
        elif at < len(words) and words[at][0] < begin:
            classes.append(TokenClass.CONTINUATION)
        else:
            classes.append(_of_words((answer[a:b] for a, b in _until(end, words, at)), known))
        begin = end
    return tuple(classes)


def _until(end: int, words: Sequence[_Span], at: int) -> Iterator[_Span]:
    while at < len(words) and words[at][0] < end:
        yield words[at]
        at += 1


def _of_words(words: Iterator[str], known: set[str]) -> TokenClass:
    """The class of a piece by the words that begin in it."""
    found = {_of_word(_forms(word), known) for word in words}
    for cls in (TokenClass.CONTENT, TokenClass.COPIED, TokenClass.FUNCTION):
        if cls in found:
            return cls
    return TokenClass.PUNCTUATION


def _of_word(forms: set[str], known: set[str]) -> TokenClass:
    if forms & _stop_words():
        return TokenClass.FUNCTION
    return TokenClass.COPIED if forms & known else TokenClass.CONTENT


def _forms(word: str) -> set[str]:
    """How a word may be listed: whole, and up to its first apostrophe."""
    whole = unicodedata.normalize("NFC", word).casefold()
    for apostrophe in _APOSTROPHES:
        whole = whole.replace(apostrophe, "'")
    return {whole, whole.partition("'")[0]}


def word_spans(text: str) -> Iterator[_Span]:
    """Where the words of a text in a script with spaces begin and end."""
    start: int | None = None
    for index in range(len(text)):
        if _belongs(text, index, inside=start is not None):
            start = index if start is None else start
        elif start is not None:
            yield start, index
            start = None
    if start is not None:
        yield start, len(text)


def split_words(text: str) -> Iterator[_Span]:
    """Where the words of a text begin and end; in scripts without spaces every letter is one."""
    letters = [(i, i + 1) for i, character in enumerate(text) if unspaced(character)]
    yield from sorted([*word_spans(text), *letters])


def content_words(text: str, *, prompt: str) -> list[str]:
    """The words of a text that `classify` calls content, as the text has them.

    Args:
        text: an answer.
        prompt: the question: what it says already is no content of the answer.
    """
    known = {form for start, end in word_spans(prompt) for form in _forms(prompt[start:end])}
    words = (text[start:end] for start, end in split_words(text))
    return [word for word in words if _of_word(_forms(word), known) is TokenClass.CONTENT]


def _belongs(text: str, index: int, *, inside: bool) -> bool:
    """Whether a character is part of a word; `inside`: whether the one before it is."""
    character = text[index]
    if unspaced(character):
        return False
    if character == _INCOMPLETE or unicodedata.category(character)[0] in "LN":
        return True
    if not inside:
        return False
    if unicodedata.category(character)[0] == "M":
        return True
    after = text[index + 1 : index + 2]
    if character in _JOINERS:
        return after.isalnum() and not unspaced(after)
    return character in _NUMBER_POINTS and text[index - 1].isdecimal() and after.isdecimal()


def unspaced(character: str) -> bool:
    """Whether a character writes words, in a script that does not part them."""
    code = ord(character)
    return any(first <= code <= last for first, last in _UNSPACED) and (
        unicodedata.category(character)[0] in "LNM"
    )


@cache
def _stop_words() -> frozenset[str]:
    lines = (Path(__file__).parent / "stop_words.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())
