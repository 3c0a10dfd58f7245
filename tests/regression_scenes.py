"""Audits drawn at random: how a candidate's values differ from its parent's, with a known true loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lvlm_audit.statistics import (
    Change,
    Tolerance,
    counts_change,
    holm_levels,
    net_change,
    quantity_change,
)

ALPHA = 0.025
IMAGES = (8, 12, 24, 48, 96)
TOLERANCES = (
    Tolerance.points(0.05),
    Tolerance.points(0.05),
    Tolerance.rise(0.2),
    Tolerance.drop(0.2),
)

Generator = np.random.Generator


@dataclass(frozen=True)
class Scene:
    """One audit of one candidate: the four deciding checks, in the order of `TOLERANCES`."""

    changes: tuple[Change, Change, Change, Change]

    def decided(self) -> tuple[bool, bool]:
        """Whether Holm lets any check show a loss, or any exclude one."""
        shown = [c.p_shown(t) for c, t in zip(self.changes, TOLERANCES, strict=True)]
        excluded = [c.p_excluded(t) for c, t in zip(self.changes, TOLERANCES, strict=True)]
        return _any(shown), _any(excluded)


def _any(p: list[float]) -> bool:
    return any(x <= level for x, level in zip(p, holm_levels(p, ALPHA, len(p)), strict=True))


def answers(rng: Generator, n: int, times: float) -> Change:
    """Right answers of images with one to four probes, that are alike by a share drawn at random."""
    probes = np.ones(n, int) if rng.random() < 0.3 else rng.integers(1, 5, n)
    images = np.repeat(np.arange(n), probes)
    alike = rng.uniform(0, 1)
    churn = rng.uniform(0, 0.15)
    loss = 0.05 * times
    falls, rises = loss + churn, churn
    # One draw for the image or one for each probe; the marginal shares stay the same.
    of_image = rng.random(n)[images]
    own = rng.random(len(images))
    drawn = np.where((rng.random(n) < alike)[images], of_image, own)
    before = np.where(
        drawn < falls, True, np.where(drawn < falls + rises, False, rng.random(len(images)) < 0.9)
    )
    now = np.where(drawn < falls, False, np.where(drawn < falls + rises, True, before))
    return net_change(now, before, images)


def words(rng: Generator, n: int, times: float) -> Change:
    """Right words of labelled ones: totals differ, images are alike inside."""
    totals = rng.integers(1, rng.integers(4, 12), (2, n))
    rate = rng.uniform(0.6, 0.85)
    size = rng.uniform(1, 30)
    of = rng.beta(rate * size, (1 - rate) * size, n)
    before = rng.binomial(totals[1], of)
    now = rng.binomial(totals[0], of * (1 - 0.05 * times / rate))
    return counts_change(now, before, totals[0], totals[1], seed=_seed(rng), resamples=1000)


def quantity(rng: Generator, n: int, times: float, kind: str, sign: int) -> Change:
    """A share of 0.2 * times of the parent's mean is lost on average, in one of several shapes."""
    shape = rng.uniform(2, 6)
    before = rng.gamma(shape, 5 / shape, n)
    loss = 0.2 * times
    if kind == "noise":
        off = -5 * loss + rng.normal(0, rng.uniform(0.3, 3), n)
    elif kind == "heavy tails":
        off = -5 * loss + rng.uniform(0.2, 1) * rng.standard_t(rng.uniform(2.2, 5), n)
    elif kind == "ties":
        # Most images keep their value exactly, the others lose or gain; in the mean the loss.
        hit = min(1.0, rng.uniform(0.25, 0.6) * max(times, 0.5))
        off = np.where(
            rng.random(n) < hit, -before * min(1.0, loss / hit) * rng.uniform(0.4, 1.6, n), 0.0
        )
    elif kind == "skewed losses":
        off = -5 * loss * rng.gamma(k := rng.uniform(0.5, 2), 1 / k, n)
    elif kind == "skewed gains":
        off = -5 * loss + rng.uniform(0.3, 1.5) * (
            rng.gamma(k := rng.uniform(0.5, 2), 1 / k, n) - 1
        )
    else:
        off = before * (rng.gamma(k := rng.uniform(2, 20), (1 - loss) / k, n) - 1)
    if sign < 0:
        # What should stay low: -5 becomes -6.
        return quantity_change(-before + off, -before, seed=_seed(rng), resamples=1000)
    return quantity_change(before + off, before, seed=_seed(rng), resamples=1000)


KINDS = ("noise", "heavy tails", "ties", "skewed losses", "skewed gains", "in proportion")


def scene(rng: Generator, n: int, times: float, kind: str) -> Scene:
    """All four checks lose `times` their tolerance on average."""
    return Scene(
        (
            answers(rng, n, times),
            words(rng, n, times),
            quantity(rng, n, times, kind, -1),
            quantity(rng, n, times, kind, 1),
        )
    )


def _seed(rng: Generator) -> int:
    return int(rng.integers(1 << 31))
