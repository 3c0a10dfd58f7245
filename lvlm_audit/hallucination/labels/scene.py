"""A drawn scene's words: the i-th word of a role that is said against the i-th true one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lvlm_audit.hallucination.labels.kind import FoundWord, LabelKind, Labelled
from lvlm_audit.hallucination.labels.labelled import CORRECT, HALLUCINATED
from lvlm_audit.probes.labels import Truth
from lvlm_audit.probes.scene_words import ROLE_WORDS, find_said_words, said_words


def _label(truth: Truth, text: str, reference: str | None) -> Labelled | None:
    if not truth.words:
        return None
    return Labelled(
        "drawn scene: each object, colour, number and yes or no against the true one in its place",
        list(_said(truth, text)),
    )


def _said(truth: Truth, text: str) -> Iterator[FoundWord]:
    for role in dict.fromkeys(word.role for word in truth.words if word.role in ROLE_WORDS):
        true = [w.text.lower() for w in truth.words if w.role == role]
        for place, said in enumerate(find_said_words(text, role)):
            if place < len(true):
                expected = ROLE_WORDS[role].get(true[place], true[place])
            elif role in ("object", "color"):
                expected = None
            else:
                continue
            right = said.word == expected
            yield FoundWord(
                said.start,
                said.end,
                CORRECT if right else HALLUCINATED,
                None if right else expected,
                _says_in_place(role, place, said.word),
                f"{role} {place + 1}",
                said.word,
            )


def _says_in_place(role: str, place: int, word: str) -> Callable[[str], bool]:
    return lambda blind: said_words(blind, role)[place : place + 1] == [word]


SCENE = LabelKind("scene", _label)
