"""Two halves of the images: one nominates, the other certifies, and no image is in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lvlm_audit.probes.probe import Probe


@dataclass(frozen=True, slots=True)
class Split:
    """Probe ids of both halves.

    Raises:
        ValueError: on construction, if a probe is in both.
    """

    nomination: tuple[str, ...]
    certification: tuple[str, ...]
    images: tuple[int, int]
    """Distinct images of each half."""

    def __post_init__(self) -> None:
        if not set(self.nomination).isdisjoint(self.certification):
            raise ValueError("nomination and certification share a probe")


def halves(probes: Sequence[Probe], seed: int) -> Split:
    """Random halves of the images, the same for the same seed; the odd one certifies.

    Random, because probe sets often ask their kinds of question in turn, and every second image would be
    asked other questions. Probes belong together if they name the
    same cluster or show a picture with the same bytes, whatever it is called.
    """
    groups = _groups(probes)
    names = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(names))
    first = {names[i] for i in order[: len(names) // 2]}
    parts = [
        tuple(p.id for p, group in zip(probes, groups, strict=True) if (group in first) is wanted)
        for wanted in (True, False)
    ]
    shown = [{d for p in probes if p.id in set(part) for d in _pictures(p)} for part in parts]
    assert shown[0].isdisjoint(shown[1])
    return Split(parts[0], parts[1], (len(first), len(names) - len(first)))


def _groups(probes: Sequence[Probe]) -> list[int]:
    """Per probe a number that it shares with all that show or name the same image."""
    member: dict[str, int] = {}
    parent = list(range(len(probes)))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for i, probe in enumerate(probes):
        for key in (f"cluster {probe.cluster}", *_pictures(probe)):
            parent[root(i)] = root(member.setdefault(key, i))
    return [root(i) for i in range(len(probes))]


def _pictures(probe: Probe) -> list[str]:
    return [f"picture {image.digest()}" for image in probe.images]
