"""Scores of yes/no answers for the document: what a user of POPE or AMBER looks for first."""

from __future__ import annotations

from lvlm_audit.document import ScoreReading, ScoreRow, rounded
from lvlm_audit.hallucination.answers import AnswerLabel, answer_label
from lvlm_audit.hallucination.labels import UNLABELLED
from lvlm_audit.hallucination.scores import AnswerScores, Score, score_answers
from lvlm_audit.readings.answers import rounded_interval
from lvlm_audit.recordings.evidence import Evidence


def score_readings(evidence: Evidence, *, seed: int = 0) -> list[ScoreReading]:
    """One reading for each rule by which answers are judged; none where no yes or no is expected.

    Raises:
        ProbeError: labels that cannot be read; names the probe.
    """
    labels = [answer_label(trace) for trace in evidence.traces]
    # Descriptions and questions for a word are no yes/no questions that lack a label.
    asked = [label for label in labels if label.truth != UNLABELLED]
    return [_reading(scores, asked) for scores in score_answers(asked, seed=seed)]


def _reading(scores: AnswerScores, asked: list[AnswerLabel]) -> ScoreReading:
    named = (
        ("accuracy", scores.accuracy),
        ("precision", scores.precision),
        ("recall", scores.recall),
        ("F1", scores.f1),
        ("yes rate", scores.yes_share),
    )
    return ScoreReading(
        scheme=scores.scheme,
        positive=scores.positive,
        answers=sum(label.scheme == scores.scheme for label in asked),
        undecided=scores.undecided,
        unlabelled=scores.unlabelled,
        rows=[_row(name, score) for name, score in named],
    )


def _row(name: str, score: Score) -> ScoreRow:
    interval = None if score.interval is None else rounded_interval(score.interval)
    return ScoreRow(name, rounded(score.value), interval, score.n, score.images)
