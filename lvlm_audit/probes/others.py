"""Which other images a probe is held against, and which images there are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice

from lvlm_audit.probes.probe import ImageSource, Probe

Images = tuple[ImageSource, ...]


def other_images(probes: Sequence[Probe]) -> list[Images | None]:
    """For each probe as many other images as it shows: those of the next probes that show others.

    Taken in order, cyclically; a prompt about two images is thus asked about two. None for a probe
    without image, and where all probes show the same.
    """
    others: list[Images | None] = []
    n = len(probes)
    for i, probe in enumerate(probes):
        following = (probes[(i + k) % n] for k in range(1, n))
        found = [image for p in following if p.cluster != probe.cluster for image in p.images]
        wanted = len(probe.images)
        others.append(tuple(islice(cycle(found), wanted)) if found and wanted else None)
    return others


def distinct_images(probes: Sequence[Probe]) -> list[Probe]:
    """The first probe of each image; probes without an image are left out."""
    first: dict[str, Probe] = {}
    for probe in probes:
        if probe.image is not None:
            first.setdefault(probe.cluster, probe)
    return list(first.values())
