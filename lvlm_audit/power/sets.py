"""Fresh probe sets: drawn anew for the demo model, else disjoint parts of the probes that were given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lvlm_audit.errors import UsageError
from lvlm_audit.probes.probe import Probe
from lvlm_audit.settings.spelling import spelled

FIRST_SEED = 1100
"""Drawn sets start here: shared with no label, no training and no audit by hand."""
_SIZES_APART = 100


@dataclass(frozen=True, slots=True)
class ProbeSet:
    """One set.

    Attributes:
        images: how many it has.
        number: which of that size.
        probes: what is asked.
    """

    images: int
    number: int
    probes: Sequence[Probe]


def drawn_sets(sizes: Sequence[int], count: int, *, first: int = FIRST_SEED) -> list[ProbeSet]:
    """Sets of drawn scenes, a question each; no two share one."""
    from lvlm_audit.demo.probes import demo_probes

    return [
        ProbeSet(size, k, demo_probes(size, first + _SIZES_APART * place + k))
        for place, size in enumerate(sizes)
        for k in range(count)
    ]


def parts(
    probes: Sequence[Probe], sizes: Sequence[int], count: int, *, seed: int = 0
) -> list[ProbeSet]:
    """Disjoint sets of images out of one probe set; sets of different sizes may share some.

    Raises:
        UsageError: there are too few images.
    """
    by_image: dict[str, list[Probe]] = {}
    for probe in probes:
        by_image.setdefault(probe.cluster, []).append(probe)
    names = sorted(by_image)
    needed = max(sizes) * count
    if len(names) < needed:
        raise UsageError(
            f"{count} sets of {max(sizes)} images need {needed} images that no two sets share, and these "
            f"probes have {len(names)}. Give more probes ({spelled('probes')}), or fewer or smaller sets "
            f"({spelled('sets')}, {spelled('images')})."
        )
    order = np.random.default_rng(seed).permutation(len(names))
    return [
        ProbeSet(
            size,
            k,
            [p for i in sorted(order[k * size : (k + 1) * size]) for p in by_image[names[i]]],
        )
        for size in sizes
        for k in range(count)
    ]
