"""What a number of images decides, from the default suite's bounds alone: writes docs/images.md.

`python -m benchmarks.images_needed`, after a bound or the suite has changed; a test holds the page to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import special

from benchmarks.markdown import rendered
from lvlm_audit.spec.check import Check
from lvlm_audit.spec.judge import ALPHA
from lvlm_audit.spec.suite import suite
from lvlm_audit.statistics import Chances, DecidingNumbers, images_to_ask, numbers_that_decide

PAGE = Path(__file__).parent.parent / "docs" / "images.md"

SIZES = (24, 48, 72, 96)
ABOVE_BOUND = (0.0, 0.1, 0.206, 0.25)
"""True shares, as distances from the bound; the third is that of the page's example."""
DISTANCES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
"""Of a true mean from the bound, in standard deviations of one image."""

_QUANTILES = 4096


@dataclass(frozen=True, slots=True)
class ShareRow:
    """A bound of a share of images and a model, at each number of images.

    Attributes:
        bound: at least.
        checks: that have it.
        share: of all images that would hold.
        decide: for each of `SIZES` the numbers that decide.
        ask: images with which such a model passes 9 times in 10; None: no number is enough.
    """

    bound: float
    checks: tuple[str, ...]
    share: float
    decide: tuple[DecidingNumbers, ...]
    ask: int | None

    @property
    def chances(self) -> tuple[Chances, ...]:
        """For each of `SIZES`."""
        return tuple(numbers.chances(self.share) for numbers in self.decide)

    @property
    def pairs(self) -> list[tuple[DecidingNumbers, Chances]]:
        """What is needed, with what follows from it."""
        return list(zip(self.decide, self.chances, strict=True))


@dataclass(frozen=True, slots=True)
class MeanRow:
    """A distance from the bound, with the chances at each of `SIZES`."""

    distance: float
    chances: tuple[Chances, ...]


def share_rows(checks: Sequence[Check]) -> list[ShareRow]:
    """Bounds of shares of images, each with models whose true share is so far above it."""
    shares = of_images(checks)
    level = ALPHA / len(shares)
    rows = []
    for bound in sorted({float(c.holds_for.value or 0) for c in shares}, reverse=True):
        names = tuple(c.name for c in shares if c.holds_for.value == bound)
        for above in ABOVE_BOUND:
            share = round(bound + above, 3)
            decide = tuple(numbers_that_decide(n, ">=", bound, level) for n in SIZES)
            ask = images_to_ask(">=", bound, level, share=share) if above else None
            rows.append(ShareRow(bound, names, share, decide, ask))
    return rows


def mean_rows(checks: Sequence[Check]) -> list[MeanRow]:
    """Chances of a mean, by Student's t alone, at the strictest level of the family."""
    level = ALPHA / len(checks)
    return [MeanRow(d, tuple(mean_chances(n, d, level) for n in SIZES)) for d in DISTANCES]


def mean_chances(n: int, distance: float, level: float) -> Chances:
    """Of a one-sided t test of n images on either side of a bound that lies this far away."""
    critical = float(special.stdtrit(n - 1, 1 - level))
    # The noncentral t, over the quantiles of its standard deviation: SciPy's own is not a number far out.
    quantiles = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    deviations = np.sqrt(special.chdtri(n - 1, 1 - quantiles) / (n - 1))
    centre = distance * math.sqrt(n)
    green = float(special.ndtr(centre - critical * deviations).mean())
    red = float(special.ndtr(-centre - critical * deviations).mean())
    return Chances(green, red, max(0.0, 1 - green - red))


def of_images(checks: Sequence[Check]) -> list[Check]:
    """Those that ask for at least a share of images."""
    return [c for c in checks if c.holds_for.of == "images" and c.holds_for.side == ">="]


def page() -> str:
    """The page's text."""
    checks = [c for c in suite("default").checks if c.bounded]
    shares = of_images(checks)
    assert all(c.holds_for.of != "images" or c in shares for c in checks)
    example = next(r for r in share_rows(checks) if (r.bound, r.share) == (0.7, 0.906))
    return rendered(
        Path(__file__).with_suffix(".md.jinja"),
        {"percent": percent, "code": lambda names: ", ".join(f"`{n}`" for n in names)},
        sizes=SIZES,
        family=len(checks),
        alpha=ALPHA,
        shares=share_rows(checks),
        share_checks=len(shares),
        means=mean_rows(checks),
        mean_checks=[c.name for c in checks if c not in shares],
        example=example,
        example_pairs=list(zip(SIZES, example.chances, strict=True)),
        alone=numbers_that_decide(24, ">=", example.bound, ALPHA / len(checks)),
    )


def percent(chance: float) -> str:
    """As times in 100, without claiming a certainty that there is not."""
    if chance < 0.005:
        return "<1"
    if chance >= 0.995:
        return ">99"
    return f"{100 * chance:.0f}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
