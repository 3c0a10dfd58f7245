"""Maps of states: PCA against an eigendecomposition, t-SNE by what it must keep, both repeatable."""

from __future__ import annotations

import numpy as np
import pytest

from lvlm_audit.metrics.maps import draw_maps


def clusters(width: int = 12) -> np.ndarray:
    """[4, 10, width] four tight paths far from each other."""
    rng = np.random.default_rng(0)
    return 10 * rng.normal(size=(4, 1, width)) + np.cumsum(0.1 * rng.normal(size=(4, 10, width)), 1)


@pytest.mark.parametrize("width", [12, 300])
def test_pca_is_the_eigendecomposition_of_the_scaled_covariance(width):
    x = clusters(width) if width == 12 else np.random.default_rng(1).normal(size=(20, 11, width))
    made = draw_maps(x)
    points = x.reshape(-1, width) / np.abs(x.reshape(-1, width)).max(axis=0)
    values, vectors = np.linalg.eigh(np.cov(points.T))
    projected = (points - points.mean(axis=0)) @ vectors[:, [-1, -2]]
    ours = made.pca.reshape(-1, 2)
    # A direction has no sign.
    for axis in (0, 1):
        sign = np.sign(projected[:, axis] @ ours[:, axis])
        np.testing.assert_allclose(ours[:, axis], sign * projected[:, axis], atol=1e-6)
    assert made.explained == pytest.approx(values[-2:].sum() / values.sum())


def test_tsne_keeps_neighbours_together():
    made = draw_maps(clusters())
    points, owner = made.tsne.reshape(-1, 2), np.repeat(np.arange(4), 10)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (owner[apart.argmin(axis=1)] == owner).all()


def test_the_same_states_give_the_same_picture():
    one, two = draw_maps(clusters()), draw_maps(clusters())
    np.testing.assert_array_equal(one.tsne, two.tsne)
    np.testing.assert_array_equal(one.pca, two.pca)


@pytest.mark.parametrize(("tokens", "perplexity"), [(4, 13.0), (12, 35.0)])
def test_perplexity_is_the_papers_or_what_the_points_allow(tokens, perplexity):
    x = np.random.default_rng(0).normal(size=(tokens, 10, 5))
    assert draw_maps(x).perplexity == perplexity


def test_what_cannot_be_drawn():
    assert draw_maps(np.ones((2, 5, 4))) is None
    assert draw_maps(np.random.default_rng(0).normal(size=(1, 3, 4))) is None
