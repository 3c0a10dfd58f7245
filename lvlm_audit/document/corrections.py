"""What interventions do to hallucinated and to correct words: the causal test of a hallucination."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lvlm_audit.document.findings import Interval

WordOutcome = Literal["corrected", "kept", "changed", "held", "broken", "gone"]
"""Of a hallucinated word: it became right, is said again, or became another wrong word; of a correct one:
it is said again, or became wrong; of both: the new answer says nothing in its slot."""

Help = Literal["helps", "harms", "undecided", "not measured"]


@dataclass(frozen=True, slots=True)
class WordShare:
    """Words to which something happened, out of those to which it could."""

    held: int
    n: int
    images: int
    """Images that have such a word."""
    value: float | None
    """held / n in [0, 1]; None where there is no such word."""
    interval: Interval | None
    """Resampled over images; the full range below 5. None where `value` is."""


@dataclass(frozen=True, slots=True)
class WordFate:
    """What became of one labelled word of a base answer."""

    probe: str
    slot: str
    """What the word answers, by which both answers are compared."""
    said: str
    now: str | None
    """What the new answer says in its slot; None: nothing."""
    expected: str | None
    hallucinated: bool
    """Whether the base answer's word was."""
    prior_driven: bool | None
    """Of a hallucinated word, whether the answer without the image says it too; None: not known."""
    outcome: WordOutcome


@dataclass(frozen=True, slots=True)
class RedecodedAnswer:
    """One answer under the intervention that differs from the base answer."""

    probe: str
    base: str
    answer: str


@dataclass(frozen=True, slots=True)
class InterventionReading:
    """One intervention against plain greedy decoding, on the same probes."""

    intervention: str
    description: str
    source: str
    blocks: list[list[int]]
    """Sets of blocks that were skipped, 0-based: one, or one for each half of the images."""
    verdict: Help
    """Of `net`."""
    words: str
    """In words: what was seen, or why nothing was."""
    answers: int = 0
    """Answers compared."""
    changed_answers: int = 0
    """Those that differ from the base answer."""
    corrected: WordShare | None = None
    """Hallucinated words that became right, of all hallucinated ones."""
    kept: int = 0
    """Hallucinated words that are said again."""
    changed: int = 0
    """Hallucinated words that became another wrong word."""
    hallucinated_gone: int = 0
    """Hallucinated words in whose slot nothing is said any more."""
    broken: WordShare | None = None
    """Correct words that became wrong, of all correct ones."""
    correct_gone: int = 0
    added: int = 0
    """Hallucinated words in slots of which the base answer said nothing."""
    labelled_after: int = 0
    """Labelled words of the new answers."""
    hallucinated_after: int = 0
    net: float | None = None
    """(corrected - broken - correct_gone) / labelled words, in [-1, 1]."""
    net_interval: Interval | None = None
    prior_driven: WordShare | None = None
    """`corrected` of errors that the answer without the image shares; None: not told apart."""
    misread: WordShare | None = None
    """`corrected` of the other errors."""
    fates: list[WordFate] = field(default_factory=list)
    """Of every word that was hallucinated or did not hold."""
    differing: list[RedecodedAnswer] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CorrectionsReading:
    """What re-decoding the same probes did to labelled words."""

    scheme: str
    """Whose labels they are, and what they count as an error."""
    words: str
    images: int
    labelled: int
    """Labelled words of the base answers, by slot."""
    hallucinated: int
    interventions: list[InterventionReading] = field(default_factory=list)
