"""Curves that rise in two steps, the second one up again: a rise to the end, never a mutation."""

from __future__ import annotations

from typing import Literal

import numpy as np

from lvlm_audit.stages import THREE_STAGES, find_stages

Shared = Literal["all", "image", "token"]
SHARED: tuple[Shared, ...] = ("all", "image", "token")


def two_step_rises(
    rng: np.random.Generator, blocks: int, clusters: np.ndarray, shared: Shared
) -> np.ndarray:
    """[N, L+1] probabilities of one draw.

    Every draw has a shape of its own: height and length of the rest, where the second step lies
    (anywhere after the rest, in half of the draws within the last three states), whether it takes one
    state or some, what share of the rows takes it, how far rows or images scatter around the places, and
    noise: of rows, a tenth of the row's whole rise at most, white or red along the depth; in a quarter of
    the draws also of whole images, half of that.

    Args:
        rng: draws.
        blocks: L.
        clusters: [N] images, 0 to images - 1.
        shared: whether rows have their shape from one drawn for "all", or for their "image", or their own.
    """
    rows = len(clusters)
    curves = {"all": 1, "image": int(clusters.max()) + 1, "token": rows}[shared]
    of = {"all": np.zeros(rows, dtype=int), "image": clusters, "token": np.arange(rows)}[shared]
    x = np.arange(blocks + 1)[None, :]
    # The model's own shape; rows or images scatter around it.
    late = rng.random() < 0.5
    second = rng.integers(blocks - 2, blocks + 1) if late else rng.integers(5, blocks + 1)
    first = rng.integers(2, second - 2)
    scatter = rng.integers(0, max(2, blocks // 10) + 1)
    spread = rng.integers(-scatter, scatter + 1, (2, curves, 1))
    ups = [
        np.clip(place + shift, 1, blocks)
        for place, shift in zip((first, second), spread, strict=True)
    ]
    top = rng.uniform(0.5, 1.0)
    rest = np.clip(rng.uniform(0.2, 0.9) + rng.normal(0, 0.05, (curves, 1)), 0.1, 0.95)
    takes = rng.integers(1, max(2, blocks // 8) + 1)
    takers = rng.random((rows, 1)) < rng.choice([1.0, rng.uniform(0.1, 1.0)])
    first_step = rest * (x >= ups[0])
    second_step = (1 - rest) * np.clip((x - ups[1] + 1) / takes, 0, 1)
    noise = rng.uniform(0.01, 0.1) * _noise(rng, (rows, blocks + 1))
    if rng.random() < 0.25:
        images = _noise(rng, (int(clusters.max()) + 1, blocks + 1))
        noise += rng.uniform(0.01, 0.05) * images[clusters]
    whole = np.where(takers, 1.0, rest[of])
    curve = first_step[of] + takers * second_step[of] + whole * noise
    return np.asarray(np.clip(top * curve, 0, 1))


def _noise(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Of standard deviation 1, white or red along the depth."""
    noise = rng.normal(size=shape)
    if rng.random() < 0.5:
        for j in range(1, shape[1]):
            noise[:, j] = 0.6 * noise[:, j - 1] + 0.8 * noise[:, j]
    return noise


def called_three_stages(shared: Shared, blocks: int, draws: int, clusters: np.ndarray) -> int:
    """In how many draws such curves are said to have three stages."""
    rng = np.random.default_rng([blocks, len(shared)])
    found = (
        find_stages(
            probability=two_step_rises(rng, blocks, clusters, shared), clusters=clusters
        ).pattern
        for _ in range(draws)
    )
    return sum(pattern == THREE_STAGES for pattern in found)
