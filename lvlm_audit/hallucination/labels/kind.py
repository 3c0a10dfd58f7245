"""A kind of label: how one way of writing the truth down is held against an answer's text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lvlm_audit.hallucination.phrases import find
from lvlm_audit.probes.labels import Truth


@dataclass(frozen=True, slots=True)
class FoundWord:
    """A word of known truth by its characters, and how to see whether another text says it too."""

    start: int
    end: int
    truth: int
    expected: str | None
    said_again: Callable[[str], bool]
    slot: str
    meaning: str


class Labelled(NamedTuple):
    """What one kind of label says of an answer.

    Attributes:
        scheme: the rule, as a report prints it.
        words: of known truth, in any order; none where the answer says none.
    """

    scheme: str
    words: Sequence[FoundWord]


@dataclass(frozen=True, slots=True)
class LabelKind:
    """One way in which a probe's labels can be held against an answer.

    Attributes:
        name: for messages and docs.
        label: of the truth, the answer's text and the reference answer; None where the labels are not of
            this kind, or it does not fit the answer, so that the next kind is asked.
    """

    name: str
    label: Callable[[Truth, str, str | None], Labelled | None]


def found_phrase(start: int, end: int, judged: int, phrase: str) -> FoundWord:
    """A phrase that is judged by being said at all."""
    said = phrase.casefold()
    return FoundWord(start, end, judged, None, says(phrase), f"says {said}", said)


def says(phrase: str) -> Callable[[str], bool]:
    """Whether another text says a phrase."""
    return lambda blind: bool(find(blind, [phrase]))


def scheme_of(truth: Truth, rule: str) -> str:
    """A rule under the name of the data set that it is applied to, where one is named."""
    return f"{truth.dataset}: {rule}" if truth.dataset else rule
