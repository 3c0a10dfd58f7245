"""What labelling gives: the tokens of an answer that are known to be right or wrong, and their words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lvlm_audit.short_repr import ShortRepr

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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TokenLabels(ShortRepr):
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
