"""Which tokens of an answer are hallucinated: from what its probe says about the truth.

Labels are made of the probe's labels, its reference answer and the answer's text, never of what was
measured inside the model: nothing that they are held against may enter them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lvlm_audit.hallucination.phrases import find
from lvlm_audit.hallucination.places import Answer, places
from lvlm_audit.hallucination.verdicts import rule_of
from lvlm_audit.probes.labels import Truth, read_truth
from lvlm_audit.probes.scene_words import ROLE_WORDS, find_said_words, said_words
from lvlm_audit.traces.words import word_spans

UNLABELLED, CORRECT, HALLUCINATED = -1, 0, 1

DECISION, EXPECTED = "yes or no", "expected word"
"""Slots that an answer has one of."""


@dataclass(frozen=True, slots=True)
class LabelledWord:
    """A word of an answer whose truth is known.

    Attributes:
        text: as the answer says it.
        tokens: the tokens that say it.
        truth: `CORRECT` or `HALLUCINATED`.
        expected: what stands there in truth; None where it is the word itself, or nothing that is known.
        prior_driven: a hallucinated word that the text-only answer says too; None where there is no
            such answer.
        slot: what the word answers: another answer to the same question is held against this one slot by
            slot, whatever its wording. A role and its place in a scene ("color 2"), the decision of a
            yes/no question, the expected word; of listed words and spans the phrase itself, so that words
            of one phrase share a slot.
        meaning: what it counts as there: its singular, the decision, the phrase.
    """

    text: str
    tokens: slice
    truth: int
    expected: str | None
    prior_driven: bool | None
    slot: str
    meaning: str


@dataclass(frozen=True, slots=True, eq=False)
class TokenLabels:
    """What is known of the truth of an answer's tokens.

    Attributes:
        probe: id.
        cluster: the unit that statistics resample: normally the image.
        truth: int8 [T] `UNLABELLED`, `CORRECT` or `HALLUCINATED`. All tokens of a word share its label;
            signals read its first piece.
        prior_driven: [T] hallucinated tokens of words that the text-only answer of the same prompt says
            in the same place: errors of the language prior, the others being misreadings. None where no
            text-only answer is known.
        scheme: the rule by which they were made, as a report prints it.
        words: the labelled words, from left to right.
    """

    probe: str
    cluster: str
    truth: npt.NDArray[np.int8]
    prior_driven: npt.NDArray[np.bool_] | None
    scheme: str
    words: tuple[LabelledWord, ...]


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of known truth by its characters, and how to see whether another text says it too."""

    start: int
    end: int
    truth: int
    expected: str | None
    said_again: Callable[[str], bool]
    slot: str
    meaning: str


def label_answers(
    traces: Sequence[Answer], text_answers: Sequence[Answer] = ()
) -> list[TokenLabels]:
    """The labels of answers' tokens.

    What a probe's labels hold decides what is labelled (`probes.labels`):

    - **yes/no** (`expected`): the word that decided, by the data set's rule. Where nothing decided (POPE
      counts such an answer as yes) no token is labelled: the answer is right or wrong as a whole
      (`answer_label`), and no token of it said so.
    - **words** (`grounded`, `hallucinated`): every one that is said.
    - **another expected word**: where it is said. Where it is not, the word that stands in its place if
      the answer has the reference's wording up to there, or is a single word; else none.
    - **spans of the reference**: these words, if the reference was said, word for word.
    - **a drawn scene's words**: the i-th word of a role that is said against the i-th true one.
      Objects and colours without a counterpart are hallucinated; other roles' words are not labelled.

    Where labels would meet on one token, it is hallucinated. Special tokens are never labelled.

    Args:
        traces: answers to the probes with their images.
        text_answers: answers to the same prompts without an image, any number of them; the first of a
            prompt counts.

    Returns:
        One for each trace, in order. Without labels everything is unlabelled.

    Raises:
        ProbeError: labels that cannot be read; names the probe.
    """
    blind: dict[str, str] = {}
    for trace in text_answers:
        blind.setdefault(trace.asked.prompt, places(trace).text)
    return [_labelled(trace, blind.get(trace.asked.prompt)) for trace in traces]


def truth_of(trace: Answer) -> Truth:
    """What the trace's probe says about the truth.

    Raises:
        ProbeError: labels that cannot be read; names the probe.
    """
    asked = trace.asked
    return read_truth(asked.labels, f"probe {asked.id!r}", asked.reference)


def _labelled(trace: Answer, blind: str | None) -> TokenLabels:
    said = places(trace)
    scheme, found = _words(truth_of(trace), said.text, trace.asked.reference)
    truth = np.full(trace.tokens, UNLABELLED, dtype=np.int8)
    prior = np.zeros(trace.tokens, dtype=bool)
    words = []
    for word in sorted(found, key=lambda w: (w.start, w.end)):
        tokens = said.tokens(word.start, word.end)
        labelled = np.zeros(trace.tokens, dtype=bool)
        labelled[tokens] = ~said.special[tokens]
        if not labelled.any():
            continue
        again = None
        if word.truth == HALLUCINATED and blind is not None:
            again = word.said_again(blind)
            prior |= labelled & again
        truth[labelled] = np.maximum(truth[labelled], word.truth)
        words.append(
            LabelledWord(
                text=said.text[word.start : word.end],
                tokens=tokens,
                truth=word.truth,
                expected=word.expected,
                prior_driven=again,
                slot=word.slot,
                meaning=word.meaning,
            )
        )
    return TokenLabels(
        probe=trace.asked.id,
        cluster=trace.asked.cluster,
        truth=truth,
        prior_driven=None if blind is None else prior,
        scheme=scheme,
        words=tuple(words),
    )


def _words(truth: Truth, text: str, reference: str | None) -> tuple[str, list[_Word]]:
    """The words of known truth in an answer, and the rule that found them."""
    if truth.words:
        return (
            "drawn scene: each object, colour, number and yes or no against the true one in its place",
            list(_of_scene(truth, text)),
        )
    if truth.spans and reference is not None:
        spans = _of_spans(truth, text, reference)
        if spans is not None:
            given = f"{truth.dataset}: " if truth.dataset else ""
            return f"{given}words of the given answer, by their place", spans
    if truth.verdict is not None:
        rule = rule_of(truth.dataset)
        return rule.text, [*_of_verdict(truth, text), *_of_lists(truth, text)]
    if truth.expected or truth.grounded or truth.hallucinated:
        given = f"{truth.dataset}: " if truth.dataset else ""
        listed = list(_of_lists(truth, text))
        others = [
            word
            for word in _of_expected(truth, text, reference)
            if all(word.end <= one.start or word.start >= one.end for one in listed)
        ]
        return (
            f"{given}words that the probe calls grounded, hallucinated or expected; others are unlabelled",
            [*listed, *others],
        )
    return "the probe's labels do not say what is true", []


def _of_verdict(truth: Truth, text: str) -> Iterator[_Word]:
    rule = rule_of(truth.dataset)
    said = rule.read(text)
    if said.start < said.end:
        right = said.verdict == truth.verdict
        yield _Word(
            said.start,
            said.end,
            CORRECT if right else HALLUCINATED,
            None if right else truth.verdict,
            lambda blind: rule.read(blind).verdict == said.verdict,
            DECISION,
            said.verdict or "",
        )


def _of_lists(truth: Truth, text: str) -> Iterator[_Word]:
    untrue = set(truth.hallucinated)
    for hit in find(text, [*truth.grounded, *truth.hallucinated]):
        judged = HALLUCINATED if hit.phrase in untrue else CORRECT
        yield _phrase(hit.start, hit.end, judged, hit.phrase)


def _of_expected(truth: Truth, text: str, reference: str | None) -> Iterator[_Word]:
    if truth.expected is None:
        return
    hits = find(text, [truth.expected])
    for hit in hits:
        yield _Word(
            hit.start,
            hit.end,
            CORRECT,
            None,
            _says(hit.phrase),
            EXPECTED,
            truth.expected.casefold(),
        )
    place = None if hits else _place_of(truth.expected, text, reference)
    if place is not None:
        said = text[slice(*place)]
        yield _Word(*place, HALLUCINATED, truth.expected, _says(said), EXPECTED, said.casefold())


def _place_of(expected: str, text: str, reference: str | None) -> tuple[int, int] | None:
    """Where the answer says something else than the expected word."""
    said = list(word_spans(text))
    if len(said) == 1:
        return said[0]
    for hit in find(reference or "", [expected])[:1]:
        assert reference is not None
        before = [s for s in word_spans(reference) if s[0] < hit.start]
        if len(said) > len(before) and _plain(text, said[: len(before)]) == _plain(
            reference, before
        ):
            return said[len(before)]
    return None


def _of_spans(truth: Truth, text: str, reference: str) -> list[_Word] | None:
    """The reference's spans where the answer says them; None if it is another answer."""
    of_reference, said = list(word_spans(reference)), list(word_spans(text))
    if _plain(reference, of_reference) != _plain(text, said):
        return None
    found = []
    for span in truth.spans:
        end = span.start + len(span.text)
        inside = [i for i, (a, b) in enumerate(of_reference) if a < end and b > span.start]
        if inside:
            judged = HALLUCINATED if span.hallucinated else CORRECT
            first, last = inside[0], inside[-1]
            # A span may be less than a word: the dog of "dog's".
            start = said[first][0] + max(0, span.start - of_reference[first][0])
            stop = said[last][1] - max(0, of_reference[last][1] - end)
            found.append(_phrase(start, stop, judged, span.text))
    return found


def _of_scene(truth: Truth, text: str) -> Iterator[_Word]:
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
            yield _Word(
                said.start,
                said.end,
                CORRECT if right else HALLUCINATED,
                None if right else expected,
                _says_in_place(role, place, said.word),
                f"{role} {place + 1}",
                said.word,
            )


def _phrase(start: int, end: int, judged: int, phrase: str) -> _Word:
    """A phrase that is judged by being said at all."""
    said = phrase.casefold()
    return _Word(start, end, judged, None, _says(phrase), f"says {said}", said)


def _says(phrase: str) -> Callable[[str], bool]:
    return lambda blind: bool(find(blind, [phrase]))


def _says_in_place(role: str, place: int, word: str) -> Callable[[str], bool]:
    return lambda blind: said_words(blind, role)[place : place + 1] == [word]


def _plain(text: str, spans: Sequence[tuple[int, int]]) -> list[str]:
    return [text[start:end].casefold() for start, end in spans]
