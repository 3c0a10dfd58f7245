"""Two-dimensional maps of hidden states: PCA and t-SNE, as in the paper's figures.

A map is a picture. PCA keeps large distances and hides small ones; t-SNE keeps neighbours, and the
distances between its clusters mean nothing. scikit-learn is imported when a map is made, not before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

PERPLEXITY = 35.0
"""As published (35 to 40); capped where there are few points."""

DIRECTIONS = 50
"""Principal directions that t-SNE is given: neighbours hardly change, and thousands of channels would cost
a minute (van der Maaten and Hinton 2008, section 4.2, keep 30)."""

SEED = 0
"""Of the map alone: the same states give the same picture, whatever the run's seed."""


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """Both maps of the same states.

    Attributes:
        pca: [T, S, 2] coordinates along the two directions of most variance.
        explained: share of the variance that the two directions hold.
        tsne: [T, S, 2].
        perplexity: that t-SNE was made with.
    """

    pca: npt.NDArray[np.float64]
    explained: float
    tsne: npt.NDArray[np.float64]
    perplexity: float


def draw_maps(states: npt.NDArray[np.floating[Any]]) -> Maps | None:
    """Embed all states of some tokens (or of images at one step) in two dimensions.

    Every channel is first divided by its largest absolute value (MaxAbs scaling), as published.

    Args:
        states: [T, S, d].

    Returns:
        The maps; None below 4 states, or where all states are the same.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from sklearn.preprocessing import MaxAbsScaler

    tokens, count, width = states.shape
    points = states.astype(np.float64).reshape(tokens * count, width)
    if len(points) < 4 or width < 2 or not np.ptp(points, axis=0).any():
        return None
    points = MaxAbsScaler().fit_transform(points)
    smaller = min(points.shape)
    kept = min(DIRECTIONS, smaller)
    # Exact either way, not randomised: the same picture on every machine, up to rounding.
    solver = "full" if smaller <= 2 * DIRECTIONS else "arpack"
    pca = PCA(kept, svd_solver=solver, random_state=SEED).fit(points)
    points = pca.transform(points)
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    tsne = TSNE(2, perplexity=perplexity, init="pca", learning_rate="auto", random_state=SEED)
    return Maps(
        points[:, :2].reshape(tokens, count, 2),
        float(pca.explained_variance_ratio_[:2].sum()),
        tsne.fit_transform(points).reshape(tokens, count, 2).astype(np.float64),
        perplexity,
    )
