"""What a set of yes/no answers is worth: accuracy, precision, recall and F1 of the data set's positive class.

Each is a ratio of sums over answers, so that images, which questions share, can be resampled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lvlm_audit.hallucination.answers import AnswerLabel
from lvlm_audit.hallucination.labels import CORRECT, UNLABELLED
from lvlm_audit.statistics import ClusterMean, Spread, cluster_mean


@dataclass(frozen=True, slots=True)
class Score:
    """A share of answers.

    Attributes:
        value: in [0, 1]; None where nothing is in its denominator.
        interval: images resampled; None where there is no value.
        n: answers in its denominator; of F1, those that are positive in truth or as said.
        images: clusters that these belong to.
    """

    value: float | None
    interval: Spread | None
    n: int
    images: int


@dataclass(frozen=True, slots=True)
class AnswerScores:
    """How good a set of answers is.

    Attributes:
        scheme: the rule by which answers were read, with the positive class.
        positive: "yes" or "no", of which precision, recall and F1 are.
        accuracy: right answers among those that could be judged.
        precision: right ones among answers that say the positive class.
        recall: answers that say the positive class among questions whose truth it is.
        f1: harmonic mean of the two: 2 TP / (2 TP + FP + FN).
        yes_share: answers that say yes, as POPE reports it.
        undecided: answers that say neither.
        unlabelled: answers whose truth is not known; none of the above counts them.
    """

    scheme: str
    positive: str
    accuracy: Score
    precision: Score
    recall: Score
    f1: Score
    yes_share: Score
    undecided: int
    unlabelled: int


_Weigh = Callable[[AnswerLabel], tuple[float, float]]
"""An answer's parts in numerator and denominator."""


def score_answers(
    labels: Iterable[AnswerLabel], *, confidence: float = 0.95, seed: int = 0
) -> list[AnswerScores]:
    """The scores of answers, data set by data set (one for each scheme, in order of appearance).

    Args:
        labels: of the answers.
        confidence: two-sided level of the intervals.
        seed: of the resampling.
    """
    by_scheme: dict[str, list[AnswerLabel]] = {}
    for label in labels:
        by_scheme.setdefault(label.scheme, []).append(label)
    return [_scores(scheme, of_it, confidence, seed) for scheme, of_it in by_scheme.items()]


def _scores(
    scheme: str, labels: Sequence[AnswerLabel], confidence: float, seed: int
) -> AnswerScores:
    known = [label for label in labels if label.truth != UNLABELLED]

    def score(weigh: _Weigh) -> Score:
        return _ratio(known, weigh, confidence, seed)

    return AnswerScores(
        scheme=scheme,
        positive=labels[0].positive,
        accuracy=score(lambda a: (a.truth == CORRECT, 1)),
        precision=score(lambda a: (_hit(a), a.said == a.positive)),
        recall=score(lambda a: (_hit(a), a.expected == a.positive)),
        f1=score(lambda a: (2 * _hit(a), (a.said == a.positive) + (a.expected == a.positive))),
        yes_share=score(lambda a: (a.said == "yes", 1)),
        undecided=sum(label.said is None for label in known),
        unlabelled=len(labels) - len(known),
    )


def _hit(label: AnswerLabel) -> bool:
    return label.said == label.expected == label.positive


def _ratio(labels: Sequence[AnswerLabel], weigh: _Weigh, confidence: float, seed: int) -> Score:
    """Sum over sum, with the images that have a part in the denominator resampled."""
    sums: dict[str, list[float]] = {}
    n = 0
    for label in labels:
        above, below = weigh(label)
        if below:
            of_image = sums.setdefault(label.cluster, [0.0, 0.0])
            of_image[0] += above
            of_image[1] += below
            n += 1
    if not sums:
        return Score(None, None, 0, 0)
    above_all, below_all = zip(*sums.values(), strict=True)
    estimate: ClusterMean = cluster_mean(
        above_all, below_all, support=(0.0, 1.0), seed=seed, is_share=True
    )
    return Score(estimate.value, estimate.spread(confidence), n, len(sums))
