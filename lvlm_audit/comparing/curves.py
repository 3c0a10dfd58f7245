"""Where in the depth two models differ: curves of the same images, with a band that holds as a whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from lvlm_audit.document import MovedCurve, ProbeReading, TokenReading
from lvlm_audit.statistics import simultaneous

_CONFIDENCE = 0.95
_Read = Callable[[TokenReading], Sequence[float] | None]
_CURVES: tuple[tuple[str, str, str, _Read], ...] = (
    ("probability of the emitted token", "probability", "state", lambda t: t.probability),
    ("JSD between neighbouring states", "bits", "transition", lambda t: t.divergence),
    ("JSD between own image and no image", "bits", "state", lambda t: t.without_image),
    ("JSD between own image and another probe's image", "bits", "state", lambda t: t.grounding),
)


def moved_curves(
    now: Sequence[ProbeReading], before: Sequence[ProbeReading], *, seed: int
) -> list[MovedCurve]:
    """The mean over images of each curve's change, for the images whose probes both documents hold.

    Args:
        now: probes of this audit.
        before: of the baseline.
        seed: of the resampling.
    """
    return list(_moved(now, before, seed))


def _moved(
    now: Sequence[ProbeReading], before: Sequence[ProbeReading], seed: int
) -> Iterator[MovedCurve]:
    for name, unit, axis, read in _CURVES:
        one, other = _by_image(now, read), _by_image(before, read)
        shared = sorted(one.keys() & other.keys())
        if not shared:
            continue
        lengths = {curve.size for found in (one, other) for curve in found.values()}
        if len(lengths) > 1:
            at = np.linspace(0, 1, min(lengths))
            rows = [_at(one[image], at) - _at(other[image], at) for image in shared]
            axis = "share of depth"
        else:
            at = np.arange(lengths.pop(), dtype=np.float64)
            rows = [one[image] - other[image] for image in shared]
        means = simultaneous(np.stack(rows), _CONFIDENCE, seed=seed)
        starts = next(
            (
                float(place)
                for place, mean in zip(at, means, strict=True)
                if mean.spread is not None and not mean.spread.low <= 0 <= mean.spread.high
            ),
            None,
        )
        yield MovedCurve(
            name=name,
            unit=unit,
            axis=axis,
            at=[float(place) for place in at],
            difference=[None if math.isnan(mean.value) else mean.value for mean in means],
            low=[None if mean.spread is None else mean.spread.low for mean in means],
            high=[None if mean.spread is None else mean.spread.high for mean in means],
            starts=starts,
            n=len(shared),
        )


def _by_image(probes: Sequence[ProbeReading], read: _Read) -> dict[str, npt.NDArray[np.float64]]:
    """Mean over an image's eligible tokens, as the document's curves are made."""
    found: dict[str, list[Sequence[float]]] = {}
    for probe in probes:
        for token in probe.tokens:
            curve = read(token) if token.eligible else None
            if curve:
                found.setdefault(probe.cluster, []).append(curve)
    return {
        image: np.mean(curves, axis=0)
        for image, curves in found.items()
        if len({len(curve) for curve in curves}) == 1
    }


def _at(curve: npt.NDArray[np.float64], at: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.interp(at, np.linspace(0, 1, curve.size), curve)
