"""Scores of yes/no answers, data set by data set, as their own evaluation reports them."""

from __future__ import annotations

from dataclasses import dataclass

from lvlm_audit.document.findings import Interval


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One score: a share of answers."""

    name: str
    """"accuracy", "precision", "recall", "F1", "yes rate"."""
    value: float | None
    """None where nothing is in its denominator."""
    interval: Interval | None
    n: int
    """Answers in its denominator."""
    images: int


@dataclass(frozen=True, slots=True)
class ScoreReading:
    """How right the yes/no answers to one data set's questions are."""

    scheme: str
    """The rule by which answers were read, with the positive class."""
    positive: str
    """Of which precision, recall and F1 are."""
    answers: int
    """Answers that could be judged."""
    undecided: int
    """Of them, those that say neither yes nor no."""
    unlabelled: int
    """Answers whose truth is not known: none of the scores counts them."""
    rows: list[ScoreRow]
