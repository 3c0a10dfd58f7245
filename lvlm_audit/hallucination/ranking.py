"""Ranking: AUROC and average precision of scores against labels, and the same under weights.

AUROC is the probability that a hallucinated token scores higher than a correct one, ties counted half
(Hanley & McNeil 1982); average precision is the sum over thresholds of the recall gained times the
precision there (scikit-learn's definition, without interpolation). The observed values are scikit-learn's.
Resampled ones are the same statistics with each token weighted by how often its image was drawn; they are
computed for all resamples at once, because thousands of calls would take minutes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.integer]

_CELLS = 2**23
"""Weights held at a time: 64 MB."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """AUROC and average precision, of one labelling or of many weightings of it."""

    auroc: Floats
    average_precision: Floats


def ranked(scores: Floats, truth: Bools) -> Ranked:
    """The observed values, as arrays of one.

    Args:
        scores: [N] finite, higher for more suspicious.
        truth: [N] True for hallucinated; both kinds are there.
    """
    # Half a second to import, and audits without labels never need it.
    from sklearn.metrics import average_precision_score, roc_auc_score

    return Ranked(
        np.array([roc_auc_score(truth, scores)]),
        np.array([average_precision_score(truth, scores)]),
    )


def reweighted(scores: Floats, truth: Bools, images: Ints, draws: Ints) -> Ranked:
    """The values under many weightings of the images.

    Args:
        scores: [N] finite.
        truth: [N].
        images: [N] index of each token's image.
        draws: [R, images] how often each image counts.

    Returns:
        [R] each; NaN where a weighting leaves no token of a kind.
    """
    order = np.argsort(-scores, kind="stable")
    high_first, kind, owner = scores[order], truth[order], images[order]
    # Thresholds lie at the ends of runs of equal scores.
    ends = np.flatnonzero(np.append(high_first[1:] != high_first[:-1], True))
    step = max(1, _CELLS // max(1, len(scores)))
    parts = [
        _weighted(draws[start : start + step][:, owner].astype(np.float64), kind, ends)
        for start in range(0, len(draws), step)
    ]
    return Ranked(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _weighted(weight: Floats, kind: Bools, ends: Ints) -> tuple[Floats, Floats]:
    """[R, N] weights of tokens from the highest score to the lowest."""
    caught = np.cumsum(weight * kind, axis=1)[:, ends]
    alarms = np.cumsum(weight * ~kind, axis=1)[:, ends]
    all_caught, all_alarms = caught[:, -1:], alarms[:, -1:]
    more_caught = np.diff(caught, axis=1, prepend=0.0)
    more_alarms = np.diff(alarms, axis=1, prepend=0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        # A pair is won by what lies strictly below, and half by what is tied.
        below = all_alarms - alarms + more_alarms / 2
        auroc = (more_caught * below).sum(axis=1) / (all_caught * all_alarms)[:, 0]
        precision = np.where(more_caught > 0, caught / (caught + alarms), 0.0)
        average = (more_caught * precision).sum(axis=1) / all_caught[:, 0]
    defined = (all_caught > 0) & (all_alarms > 0)
    return np.where(defined[:, 0], auroc, np.nan), np.where(defined[:, 0], average, np.nan)
