"""A simple combination of signals: logistic regression, scored on images that it was not fitted on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lvlm_audit.hallucination.ranking import Bools, Floats

FOLDS = 5


def out_of_fold(
    matrix: Floats, truth: Bools, images: npt.NDArray[np.str_], *, folds: int = FOLDS
) -> Floats | None:
    """What the combination says of each token, from a fit on other images' tokens.

    Images are dealt to folds whole (`GroupKFold`). In each fold the median of the fitting part takes the
    place of undefined values, inputs are standardised on the fitting part, and a logistic regression
    (L2, C = 1) is fitted. A fit's offset follows the share of hallucinated tokens that it was shown, which
    is low where the held-out share is high; values of different folds are therefore compared by their
    rank within the fold, or shuffled labels would give less than 0.5.

    Args:
        matrix: [N, K] signals; NaN where undefined.
        truth: [N] True for hallucinated.
        images: [N].
        folds: at most as many as there are images.

    Returns:
        [N] mid-ranks within the fold, in (0, 1); None where a fold cannot be fitted: fewer than two
        images, or only one kind of token in a fitting part.
    """
    from scipy.stats import rankdata
    from sklearn.model_selection import GroupKFold

    count = min(folds, len(np.unique(images)))
    if count < 2 or not matrix.shape[1]:
        return None
    scores = np.full(len(truth), np.nan)
    for fit, held in GroupKFold(count).split(matrix, truth, images):
        if truth[fit].all() or not truth[fit].any():
            return None
        model = _pipeline().fit(matrix[fit], truth[fit])
        said = model.decision_function(matrix[held])
        scores[held] = (rankdata(said) - 0.5) / len(held)
    return scores


def _pipeline() -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(max_iter=1000),
    )
