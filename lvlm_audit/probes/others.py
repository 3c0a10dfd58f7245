"""Which other image a probe is held against."""

from __future__ import annotations

from collections.abc import Sequence

from lvlm_audit.probes.probe import ImageSource, Probe


def other_images(probes: Sequence[Probe]) -> list[ImageSource | None]:
    """For each probe the image of the next probe that shows another one, cyclically.

    None for a probe without image, and where all probes show the same image.
    """
    others: list[ImageSource | None] = []
    n = len(probes)
    for i, probe in enumerate(probes):
        following = (probes[(i + k) % n] for k in range(1, n))
        others.append(
            None
            if probe.image is None
            else next(
                (p.image for p in following if p.image is not None and p.cluster != probe.cluster),
                None,
            )
        )
    return others
