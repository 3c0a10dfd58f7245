"""How good each signal is: its scores of labelled tokens against their labels, and the baseline's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lvlm_audit.hallucination.combination import out_of_fold
from lvlm_audit.hallucination.ranking import Bools, Floats
from lvlm_audit.hallucination.separation import Advantage, Separation, advantage, separation
from lvlm_audit.hallucination.signals import BASELINE, Signal


@dataclass(frozen=True, slots=True, eq=False)
class LabelledTokens:
    """Tokens of known truth with what every signal says of them.

    Attributes:
        signals: K of them.
        matrix: [N, K]; NaN where a signal is not defined.
        truth: [N] True for hallucinated.
        prior_driven: [N] hallucinated tokens that the answer without the image shares; None: not told apart.
        images: [N] the token's image.
    """

    signals: tuple[Signal, ...]
    matrix: Floats
    truth: Bools
    prior_driven: Bools | None
    images: npt.NDArray[np.str_]

    def column(self, name: str) -> Floats:
        """[N] one signal's values."""
        return self.matrix[:, [s.name for s in self.signals].index(name)]

    def chosen(self, rows: Bools) -> LabelledTokens:
        """Some of the tokens."""
        prior = None if self.prior_driven is None else self.prior_driven[rows]
        return LabelledTokens(
            self.signals, self.matrix[rows], self.truth[rows], prior, self.images[rows]
        )


@dataclass(frozen=True, slots=True)
class Suspected:
    """How many tokens a signal suspects.

    Attributes:
        threshold: its definition's own, or the median of its values on hallucinated tokens.
        own: whether the definition sets it; suspected is what lies above it, else what reaches it.
        on_correct, on_hallucinated: share of tokens that are suspected.
    """

    threshold: float
    own: bool
    on_correct: float
    on_hallucinated: float


@dataclass(frozen=True, slots=True)
class Scored:
    """How good scores are.

    Attributes:
        all: hallucinated against correct tokens.
        prior_driven, misread: each kind of error against correct tokens; None: not told apart.
        over_baseline: AUROC beyond the baseline's; None for the baseline, or where a kind is missing.
        suspected: None where a kind of token is missing.
        undefined: labelled tokens without a value.
    """

    all: Separation
    prior_driven: Separation | None
    misread: Separation | None
    over_baseline: Advantage | None
    suspected: Suspected | None
    undefined: int


def score_signals(tokens: LabelledTokens, *, seed: int = 0) -> list[Scored]:
    """Every signal's scores against the labels, in the signals' order."""
    return [
        scored(
            tokens.matrix[:, k],
            tokens,
            seed=seed,
            fires_above=signal.fires_above,
            against_baseline=signal.name != BASELINE.name,
        )
        for k, signal in enumerate(tokens.signals)
    ]


def score_combination(
    tokens: LabelledTokens, measured: Sequence[bool], *, seed: int = 0
) -> tuple[Floats, Scored] | None:
    """The cross-validated combination of the signals that were measured: [N] scores, and how good they are.

    Returns:
        None where it cannot be fitted (`combination.out_of_fold`).
    """
    values = out_of_fold(tokens.matrix[:, np.asarray(measured)], tokens.truth, tokens.images)
    return None if values is None else (values, scored(values, tokens, seed=seed))


def scored(
    values: Floats,
    tokens: LabelledTokens,
    *,
    seed: int = 0,
    fires_above: float | None = None,
    against_baseline: bool = True,
) -> Scored:
    """How good any scores are.

    Args:
        values: [N] higher for more suspicious; NaN where undefined.
        tokens: their labels.
        seed: of the resampling.
        fires_above: the scores' own threshold, if they have one.
        against_baseline: whether to compare with the baseline.
    """
    truth, images, prior = tokens.truth, tokens.images, tokens.prior_driven

    def of_kind(kind: Bools | None) -> Separation | None:
        if kind is None:
            return None
        rows = (truth & kind) | ~truth
        return separation(values[rows], truth[rows], images[rows], seed=seed)

    over = None
    if against_baseline:
        over = advantage(values, tokens.column(BASELINE.name), truth, images, seed=seed)
    return Scored(
        separation(values, truth, images, seed=seed),
        of_kind(prior),
        of_kind(None if prior is None else ~prior),
        over,
        _suspected(values, truth, fires_above),
        int(np.isnan(values).sum()),
    )


def _suspected(values: Floats, truth: Bools, fires_above: float | None) -> Suspected | None:
    defined = ~np.isnan(values)
    values, truth = values[defined], truth[defined]
    if not truth.any() or truth.all():
        return None
    own = fires_above is not None
    threshold = float(np.median(values[truth])) if fires_above is None else fires_above
    fires = values > threshold if own else values >= threshold
    return Suspected(threshold, own, float(fires[~truth].mean()), float(fires[truth].mean()))
