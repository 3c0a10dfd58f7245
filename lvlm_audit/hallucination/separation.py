"""Separation: how well scores tell hallucinated from correct tokens, with intervals over images.

Tokens of one image are dependent, so images are resampled, never tokens. An interval is the hull of the
percentile bootstrap and of Student's t around the value with the jackknife's standard error over images
(Efron & Tibshirani 1993, section 11.5): the bootstrap of few images is too narrow, as it is for means
(`statistics.estimates`). With fewer than 5 images of a kind, or 10 tokens, nothing is decided and the
interval is the full range.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lvlm_audit.hallucination.ranking import Bools, Floats, Ints, Ranked, ranked, reweighted
from lvlm_audit.statistics import MIN_IMAGES, Spread
from lvlm_audit.statistics.spread import student_quantile

CONFIDENCE = 0.95
RESAMPLES = 2000
"""Half of what a verdict takes: these figures decide nothing, and each costs a pass over all tokens."""

MIN_TOKENS = 10
"""Of each kind; below this an AUROC says nothing."""


@dataclass(frozen=True, slots=True)
class Separation:
    """How well scores tell the kinds apart.

    Attributes:
        auroc: in [0, 1]; 0.5 is chance. None where a kind is missing.
        auroc_spread: its interval; the full range where nothing is decided.
        average_precision: in [0, 1]; chance is the base rate of hallucinated tokens.
        precision_spread: its interval.
        hallucinated, correct: tokens that count.
        images: that they belong to.
        undecided: why nothing is decided; empty otherwise.
    """

    auroc: float | None
    auroc_spread: Spread
    average_precision: float | None
    precision_spread: Spread
    hallucinated: int
    correct: int
    images: int
    undecided: str = ""

    @property
    def base_rate(self) -> float | None:
        """Share of hallucinated among the tokens that count: what average precision is at chance."""
        total = self.hallucinated + self.correct
        return self.hallucinated / total if total else None


@dataclass(frozen=True, slots=True)
class Advantage:
    """By how much one signal's AUROC is greater than another's, on the same tokens and resamples."""

    value: float
    spread: Spread


def separation(
    scores: Floats,
    truth: Bools,
    images: npt.NDArray[np.str_] | Sequence[str],
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> Separation:
    """How well scores tell hallucinated from correct tokens.

    Args:
        scores: [N] higher for more suspicious; tokens with NaN do not count.
        truth: [N] True for hallucinated.
        images: [N] the token's image.
        seed: of the resampling.
        resamples: number of bootstrap replicates.
    """
    counts = ~np.isnan(scores)
    scores, truth, owner = scores[counts], truth[counts], np.asarray(images)[counts]
    names, index = np.unique(owner, return_inverse=True)
    bad, good = int(truth.sum()), int((~truth).sum())
    undecided = _undecided(truth, index)
    full = Spread(0.0, 1.0, CONFIDENCE, "full range")
    if not bad or not good:
        return Separation(None, full, None, full, bad, good, len(names), undecided)
    seen = ranked(scores, truth)
    auroc_spread = precision_spread = full
    if not undecided:
        drawn, left_out = _resampled(scores, truth, index, seed, resamples)
        auroc_spread = _hull(seen.auroc[0], drawn.auroc, left_out.auroc, (0.0, 1.0))
        precision_spread = _hull(
            seen.average_precision[0],
            drawn.average_precision,
            left_out.average_precision,
            (0.0, 1.0),
        )
    return Separation(
        float(seen.auroc[0]),
        auroc_spread,
        float(seen.average_precision[0]),
        precision_spread,
        bad,
        good,
        len(names),
        undecided,
    )


def advantage(
    scores: Floats,
    baseline: Floats,
    truth: Bools,
    images: npt.NDArray[np.str_] | Sequence[str],
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> Advantage | None:
    """AUROC of scores minus AUROC of a baseline, on the tokens where both are defined.

    Both are taken from the same resamples, so that what they have in common cancels.

    Args:
        scores, baseline: [N]; NaN where undefined.
        truth, images, seed, resamples: as in `separation`.

    Returns:
        None where a kind of token is missing.
    """
    counts = ~np.isnan(scores) & ~np.isnan(baseline)
    truth, owner = truth[counts], np.asarray(images)[counts]
    _, index = np.unique(owner, return_inverse=True)
    if not truth.any() or truth.all():
        return None
    pair = [(s[counts], truth, index) for s in (scores, baseline)]
    value = float(ranked(*pair[0][:2]).auroc[0] - ranked(*pair[1][:2]).auroc[0])
    if _undecided(truth, index):
        return Advantage(value, Spread(-1.0, 1.0, CONFIDENCE, "full range"))
    (one, one_out), (two, two_out) = (_resampled(*args, seed, resamples) for args in pair)
    return Advantage(
        value, _hull(value, one.auroc - two.auroc, one_out.auroc - two_out.auroc, (-1.0, 1.0))
    )


def _undecided(truth: Bools, index: Ints) -> str:
    for kind, chosen in (("hallucinated", truth), ("correct", ~truth)):
        tokens, of = int(chosen.sum()), len(np.unique(index[chosen]))
        if tokens < MIN_TOKENS or of < MIN_IMAGES:
            return (
                f"inconclusive: {tokens} {kind} tokens of {of} images; at least {MIN_TOKENS} tokens of "
                f"{MIN_IMAGES} images are needed"
            )
    return ""


def _resampled(
    scores: Floats, truth: Bools, index: Ints, seed: int, resamples: int
) -> tuple[Ranked, Ranked]:
    """Bootstrap replicates, and values with each image left out in turn."""
    n = int(index.max()) + 1
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    without = 1 - np.eye(n, dtype=np.int64)
    return (
        reweighted(scores, truth, index, draws),
        reweighted(scores, truth, index, without),
    )


def _hull(
    value: float, replicates: Floats, left_out: Floats, support: tuple[float, float]
) -> Spread:
    """Of the percentile interval and Student's t with the jackknife's standard error."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(replicates, [tail, 1 - tail])
    n = len(left_out)
    error = math.sqrt((n - 1) / n * float(((left_out - left_out.mean()) ** 2).sum()))
    half = student_quantile(CONFIDENCE, n - 1) * error
    return Spread(
        max(support[0], min(float(low), value - half)),
        min(support[1], max(float(high), value + half)),
        CONFIDENCE,
        "cluster bootstrap and t",
    )
