"""The grounding curve in numbers: where the image enters a token, how strongly, and what is left of it.

The curve is, state by state, the Jensen-Shannon divergence between a token's distribution with the image
and without, on the same text (docs/method.md#with-and-without-the-image: taking the image away tells
vision from language prior). NumPy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lvlm_audit.metrics.nodes import CRITICAL, ONSET, Floats, sustained_from

MIN_GROUNDING = 0.05
"""Bits. A curve that never reaches this has no grounding to speak of, and fractions of its peak are noise.
Fifty times what replaying a text in another batch gives, and a twentieth of what two disjoint
distributions give: the bound of `image_matters` and of `Kept` as well."""

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Grounding:
    """Numbers of T tokens' grounding curves.

    Attributes:
        peak: [T] largest value, bits.
        enters: [T] state from which the curve stays at or above 10 % of its peak; NaN where the peak is
            below `MIN_GROUNDING`, or the end of the curve falls below (the image entered, and was given up).
        half: [T] the same for 50 %.
        left_before_last: [T] share of the peak that is left at state L-1; NaN without grounding.
        left_at_last: [T] the same at state L.
    """

    peak: Reals
    enters: Reals
    half: Reals
    left_before_last: Reals
    left_at_last: Reals

    @property
    def grounded(self) -> npt.NDArray[np.bool_]:
        """[T] tokens whose curve reaches `MIN_GROUNDING`."""
        return np.asarray(self.peak >= MIN_GROUNDING)


def read_grounding(curve: Floats) -> Grounding:
    """Numbers of grounding curves.

    Args:
        curve: [T, S] JSD with and without the image, bits, at states 0..L; S at least 2.

    Raises:
        ValueError: fewer than two states.
    """
    if curve.ndim != 2 or curve.shape[1] < 2:
        raise ValueError(f"a grounding curve runs over at least two states, not {curve.shape}")
    values = curve.astype(np.float64)
    peak = values.max(axis=1)
    share = np.full(values.shape, np.nan)
    np.divide(values, peak[:, None], out=share, where=(peak >= MIN_GROUNDING)[:, None])
    return Grounding(
        peak=peak,
        enters=sustained_from(values, ONSET, min_peak=MIN_GROUNDING),
        half=sustained_from(values, CRITICAL, min_peak=MIN_GROUNDING),
        left_before_last=share[:, -2],
        left_at_last=share[:, -1],
    )
