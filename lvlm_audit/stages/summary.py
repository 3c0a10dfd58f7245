"""From tokens to the model: medians over images, halves of the images, and the typical curve's shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lvlm_audit.metrics.steps import fit_step, step_width, unrest
from lvlm_audit.stages.readings import Bools, Floats, NodeEstimate
from lvlm_audit.statistics import Spread, bootstrap_median, fold_of, median_over_images

AGREEMENT = 0.15
"""Two states are the same node when they lie within this share of the depth (at least one state):
of two levels, or of two halves of the images."""

MUTATION_QUORUM = 0.10
"""A state is a mutation layer of the model when this share of eligible tokens mutates there."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The step that the typical curve of an image takes: medians over images.

    Attributes:
        border: first point of the second stage.
        end: first point of the third stage; one past the last point where there is none.
        before: level of the first stage.
        after: level of the second stage.
        width: points from 25 % to 75 % of the step.
        unrest_before: movement within the first stage, as a share of the step.
        unrest_after: movement within the second stage, as a share of the step.
        returns: the share of images whose curve leaves the second stage for a level beyond half-way
            back to the first.
        transfer: share of images whose step lies where the other half of the images has it, in the
            worse of the two directions.
    """

    border: float
    end: float
    before: float
    after: float
    width: float
    unrest_before: float
    unrest_after: float
    returns: float
    transfer: float


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """How values of tokens become a value of the model, with images as the unit.

    Attributes:
        of: [N] the image of each row.
        blocks: L.
        confidence: of intervals.
        seed: of the resampling.
    """

    of: npt.NDArray[Any]
    blocks: int
    confidence: float
    seed: int

    @property
    def count(self) -> int:
        """Distinct images."""
        return len(np.unique(self.of))

    @property
    def slack(self) -> float:
        """Distance in states within which two nodes are the same."""
        return max(1.0, AGREEMENT * self.blocks)

    def node(self, states: Floats) -> NodeEstimate:
        """Median over images of per-image medians, with its interval."""
        undefined = float(np.isnan(states).mean())
        _, medians = median_over_images(states, self.of)
        if not medians.size:
            return NodeEstimate(None, None, None, undefined)
        spread = bootstrap_median(medians, confidence=self.confidence, seed=self.seed)
        if spread is None:
            spread = Spread(0.0, float(self.blocks), self.confidence, "full range")
        low, high = np.percentile(medians, [25, 75])
        return NodeEstimate(float(np.median(medians)), spread, float(high - low), undefined)

    def median(self, values: Floats) -> float | None:
        """Median over images of per-image medians; None where no token has a value."""
        _, medians = median_over_images(values, self.of)
        return float(np.median(medians)) if medians.size else None

    def shape(self, values: Floats, *, rises: bool, shortest: int) -> Shape | None:
        """Fit one step to each image's typical curve and see whether it is a step at all.

        The typical curve is the median over the image's tokens at each point. Unlike the mean, the
        median of sharp steps at different states is a sharp step, not a ramp (docs/method.md#nodes), and one
        token's burst leaves no mark.

        Args:
            values: [N, n] curves of tokens.
            rises: whether the step goes up.
            shortest: as in `fit_step`.

        Returns:
            The shape; None where half of the images or more have no such step.
        """
        names, index = np.unique(self.of, return_inverse=True)
        order = np.argsort(index, kind="stable")
        parts = np.split(values[order], np.cumsum(np.bincount(index))[:-1])
        # A token's own value, where even numbers leave two: half-way between them is neither's. The
        # one on the second stage's side, so that a dip or burst of half the tokens leaves no mark.
        curves = np.stack(
            [np.sort(p, axis=0)[len(p) // 2 if rises else (len(p) - 1) // 2] for p in parts]
        )
        fit = fit_step(curves, rises=rises, shortest=shortest)
        found = fit.border > 0
        if 2 * np.count_nonzero(found) <= len(names):
            return None
        # A rise may pass through a state or two; a collapse is sharp.
        first, second = unrest(curves, fit, soft=rises)
        sign = 1.0 if rises else -1.0
        half_way = (fit.before + fit.after) / 2
        border = np.where(found, fit.border, np.nan).astype(np.float64)
        return Shape(
            border=float(np.nanmedian(border)),
            end=float(np.median(fit.end[found])),
            before=float(np.median(fit.before[found])),
            after=float(np.median(fit.after[found])),
            width=float(np.median(step_width(curves, fit)[found])),
            unrest_before=float(np.median(first[found])),
            unrest_after=float(np.median(second[found])),
            returns=float(np.mean(sign * (fit.later - half_way)[found] < 0)),
            transfer=_transfer(border, fold_of(names), self.slack),
        )

    def transfer(self, states: Floats) -> float:
        """Share of images that have a node where the other half has it; `states` is [N], one row an image.

        An image without the node does not have it there.
        """
        return _transfer(states, fold_of(self.of), self.slack)


def _transfer(border: Floats, fold: npt.NDArray[np.int64], slack: float) -> float:
    """Located on one half, tested on the other, and swapped (docs/method.md#two-halves-of-the-images)."""
    shares = []
    for half in (0, 1):
        there, here = border[fold == half], border[fold != half]
        if not here.size or np.isnan(there).all():
            return 0.0
        near = np.abs(here - np.nanmedian(there)) <= slack
        shares.append(float(near.mean()))
    return min(shares)


def mutation_states(mutated: Bools) -> tuple[int, ...]:
    """States before L at which a quorum of tokens ([N, S] rows) mutates."""
    share = mutated.mean(axis=0)[:-1]
    return tuple(int(j) for j in np.nonzero(share >= MUTATION_QUORUM)[0])
