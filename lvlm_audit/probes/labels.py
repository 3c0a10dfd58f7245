"""What a probe's labels may say about the truth: the names that are read, checked in one place.

Labels are free facts. These names are not free, because token labels are made of them
(`lvlm_audit.hallucination.labels`):

- `expected`: "yes", "no" or another word that a right answer says;
- `grounded`, `hallucinated`: lists of words or phrases that are true, or untrue, of the image;
- `dataset`: whose rule reads a yes or no out of an answer, and which of the two is the positive class
  ("POPE", "AMBER", "HallusionBench"); any other value changes nothing;
- `undecided_is_right`: true where an answer that is neither yes nor no is right as well;
- `spans`: words of the reference answer that are known to be grounded or not, by their characters:
  objects with `text`, `start` and `hallucinated`;
- `words`: of the demo's scenes, objects with `text`, `role` and `start`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.plurals import alike
from lvlm_audit.probes.quoting import described, short

YesNo = Literal["yes", "no"]

WORD_LISTS = ("grounded", "hallucinated")


@dataclass(frozen=True, slots=True)
class ReferenceSpan:
    """A word of the reference answer.

    Attributes:
        text: the word as it stands there.
        start: index of its first character.
        hallucinated: whether it is untrue of the image.
    """

    text: str
    start: int
    hallucinated: bool


@dataclass(frozen=True, slots=True)
class RoleWord:
    """A word of a true answer about a drawn scene (`lvlm_audit.probes.scene_words`)."""

    text: str
    role: str


@dataclass(frozen=True, slots=True)
class Truth:
    """What labels say about the truth.

    Attributes:
        dataset: whose rules apply; empty: ours.
        expected: a word that a right answer says.
        grounded: words that are true of the image.
        hallucinated: words that are not.
        spans: words of the reference answer.
        words: of a drawn scene's true answer, in order.
        scene_verdict: the true answer of a scene's yes/no question.
        undecided_is_right: an answer that is neither yes nor no is right as well.
    """

    dataset: str = ""
    expected: str | None = None
    grounded: tuple[str, ...] = ()
    hallucinated: tuple[str, ...] = ()
    spans: tuple[ReferenceSpan, ...] = ()
    words: tuple[RoleWord, ...] = ()
    scene_verdict: YesNo | None = None
    undecided_is_right: bool = False

    @property
    def verdict(self) -> YesNo | None:
        """The expected yes or no; None where another kind of answer is expected, or none is known."""
        said = self.expected.casefold() if self.expected else self.scene_verdict
        return cast(YesNo, said) if said in ("yes", "no") else None


def read_truth(labels: Mapping[str, Any], where: str, reference: str | None = None) -> Truth:
    """The labels' truth, checked.

    Args:
        labels: of a probe.
        where: what a message calls the place.
        reference: the probe's answer, which spans are held against.

    Raises:
        ProbeError: a name that is read has a value that cannot be; the message names it.
    """
    expected = labels.get("expected")
    if expected is not None:
        _check_text(where, "expected", expected, 'Write it as {"expected": "yes"}.')
    lists = {name: _word_list(where, name, labels.get(name)) for name in WORD_LISTS}
    right = {"grounded": lists["grounded"], "expected": () if expected is None else (expected,)}
    for name, words in right.items():
        _check_one_truth(where, name, words, lists["hallucinated"])
    undecided = labels.get("undecided_is_right")
    if undecided is not None and not isinstance(undecided, bool):
        raise ProbeError(
            f"{where}: 'undecided_is_right' of 'labels' must be true or false, not "
            f"{described(undecided)}."
        )
    dataset = labels.get("dataset")
    said = _role_words(labels.get("words"))
    truth = labels.get("truth")
    asked = bool(said) and labels.get("kind") == "yes_no" and truth in ("yes", "no")
    return Truth(
        dataset=dataset if isinstance(dataset, str) else "",
        expected=None if expected is None else expected.strip(),
        grounded=lists["grounded"],
        hallucinated=lists["hallucinated"],
        spans=_spans(where, labels.get("spans"), reference),
        words=said,
        scene_verdict=cast(YesNo, truth) if asked else None,
        undecided_is_right=undecided is True,
    )


def _check_text(where: str, name: str, value: Any, remedy: str) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ProbeError(
            f"{where}: {name!r} of 'labels' must be text that is not blank, not {described(value)}. "
            f"{remedy}"
        )


def _check_one_truth(where: str, name: str, right: Sequence[str], untrue: Sequence[str]) -> None:
    """Answers are searched without regard to case and number, so labels may not differ in these alone."""
    for word in right:
        if (other := alike(word, untrue)) is not None:
            raise ProbeError(
                f"{where}: {short(word.strip())} is under {name!r} and {short(other)} under "
                f"'hallucinated' of 'labels': an answer that says it would be right and wrong. Drop one "
                f"of them."
            )


def _word_list(where: str, name: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise ProbeError(
            f"{where}: {name!r} of 'labels' must be a list of words, not {described(value)}. "
            f'Write it as {{"{name}": ["dog"]}}.'
        )
    for number, word in enumerate(value):
        _check_text(where, f"{name}[{number}]", word, "Write a word, or drop it.")
    return tuple(dict.fromkeys(word.strip() for word in value))


def _spans(where: str, value: Any, reference: str | None) -> tuple[ReferenceSpan, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(v, Mapping) for v in value):
        raise ProbeError(
            f"{where}: 'spans' of 'labels' must be a list of objects, not {described(value)}. Write it as "
            f'{{"spans": [{{"text": "dog", "start": 2, "hallucinated": true}}]}}.'
        )
    found = []
    for number, span in enumerate(value):
        text, start, untrue = span.get("text"), span.get("start"), span.get("hallucinated")
        name = f"spans[{number}]"
        _check_text(where, f"{name}.text", text, "Give the word as it stands in 'answer'.")
        if type(start) is not int or start < 0:
            raise ProbeError(
                f"{where}: '{name}.start' of 'labels' must be the index of a character, not "
                f"{described(start)}. Count from 0."
            )
        if not isinstance(untrue, bool):
            raise ProbeError(
                f"{where}: '{name}.hallucinated' of 'labels' must be true or false, not "
                f"{described(untrue)}."
            )
        if reference is None or reference[start : start + len(text)] != text:
            there = "has none" if reference is None else f"reads {short(reference[start:])} there"
            raise ProbeError(
                f"{where}: '{name}' of 'labels' is {short(text)} at character {start} of 'answer', which "
                f"{there}. Mend 'start' or 'text'."
            )
        if ReferenceSpan(text, start, not untrue) in found:
            raise ProbeError(
                f"{where}: '{name}.hallucinated' of 'labels' is {str(untrue).lower()} of {short(text)} at "
                f"character {start}, and an earlier span says the opposite. Drop one of them."
            )
        found.append(ReferenceSpan(text, start, untrue))
    return tuple(sorted(found, key=lambda span: span.start))


def _role_words(value: Any) -> tuple[RoleWord, ...]:
    """Of the demo's scenes; whatever else stands under that name is a free fact."""
    if not isinstance(value, list | tuple):
        return ()
    words = []
    for word in value:
        text, role = (
            (word.get("text"), word.get("role")) if isinstance(word, Mapping) else (None, None)
        )
        if not isinstance(text, str) or not isinstance(role, str):
            return ()
        words.append(RoleWord(text, role))
    return tuple(words)
