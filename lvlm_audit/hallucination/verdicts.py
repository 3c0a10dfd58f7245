"""Yes or no: what an answer says, by the rule of the data set that asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lvlm_audit.probes.labels import YesNo


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer says.

    Attributes:
        verdict: None: neither.
        start: index of the first character of the word that decided.
        end: index after its last; equal to `start` where no word decided.
    """

    verdict: YesNo | None
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class YesNoRule:
    """How a data set reads answers, and how it counts.

    Attributes:
        name: of the data set.
        positive: the class of which precision, recall and F1 are.
        text: the rule, as a report prints it.
        read: the verdict of an answer.
    """

    name: str
    positive: YesNo
    text: str
    read: Callable[[str], Said]


def rule_of(dataset: str) -> YesNoRule:
    """The rule of a data set; ours where it has none that we know."""
    return _RULES.get(dataset, _OURS)


_YES = re.compile(r"\byes\b", re.IGNORECASE)
_FIRST_WORD = re.compile(r"\W*(?P<word>(?P<yes>yes)|no)\b", re.IGNORECASE)
_DECIDING = re.compile(
    r"\b(?P<word>(?P<yes>yes)|no|not|cannot|\w+n['\N{RIGHT SINGLE QUOTATION MARK}]t)\b",
    re.IGNORECASE,
)


def _read_pope(answer: str) -> Said:
    """POPE's evaluate.py: the first sentence, commas dropped, split at spaces; else it is a yes.

    The white space around an answer is not part of it, as the scripts that write answer files have it.
    """
    at = len(answer) - len(answer.lstrip())
    sentence = answer.strip().split(".")[0]
    yes = _YES.search(sentence)
    said = Said("yes", at + yes.start(), at + yes.end()) if yes else Said("yes")
    for word in sentence.split(" "):
        if (bare := word.replace(",", "")) in ("No", "not", "no"):
            start = at + word.index(bare[0])
            return Said("no", start, at + word.rindex(bare[-1]) + 1)
        at += len(word) + 1
    return said


def _read_first_word(answer: str) -> Said:
    return _of_match(_FIRST_WORD.match(answer))


def _read_ours(answer: str) -> Said:
    return _of_match(_DECIDING.search(answer))


def _of_match(found: re.Match[str] | None) -> Said:
    if found is None:
        return Said(None)
    return Said("yes" if found["yes"] else "no", *found.span("word"))


_OURS = YesNoRule(
    name="own",
    positive="yes",
    text="the first yes, no or not of an answer decides, and an answer without is wrong; "
    "positive class yes",
    read=_read_ours,
)
_RULES: Mapping[str, YesNoRule] = {
    "POPE": YesNoRule(
        name="POPE",
        positive="yes",
        text="POPE: an answer is no if its first sentence has the word No, no or not; everything else "
        "counts as yes; positive class yes",
        read=_read_pope,
    ),
    "AMBER": YesNoRule(
        name="AMBER",
        positive="no",
        text="AMBER: an answer's first word, yes or no, is the response, and anything else is wrong; "
        "positive class no",
        read=_read_first_word,
    ),
    "HallusionBench": YesNoRule(
        name="HallusionBench",
        positive="yes",
        text="HallusionBench: an answer's first word, yes or no, is the answer, where the data set's own "
        "evaluation asks GPT-4; anything else is uncertain, which is right only where a question has "
        "no figure to supplement it; positive class yes",
        read=_read_first_word,
    ),
}
