"""Everything that moved and is not judged, with intervals that hold together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np

from lvlm_audit.comparing.declared import has_tolerance, measures
from lvlm_audit.comparing.sides import Pair, Seen, images
from lvlm_audit.document import (
    Difference,
    Finding,
    Interval,
    ProbeReading,
    TokenReading,
)
from lvlm_audit.statistics import MIN_IMAGES, Spread, simultaneous

CONFIDENCE = 0.95
_GROUNDED = 0.05
"""Bits that a grounding curve must reach for a share of its peak to mean anything (docs/metrics.md)."""

ByImage = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Moved:
    """A quantity by image in both audits, before its interval is known."""

    name: str
    now: ByImage
    before: ByImage
    observed: float | None
    baseline: float | None
    unit: str = ""
    note: str = ""


def differences(now: Seen, before: Seen, pairs: Sequence[Pair], *, seed: int) -> list[Difference]:
    """What differs and is not judged: this audit minus the baseline, paired by image.

    Args:
        now: this audit.
        before: the baseline.
        pairs: probes that both asked.
        seed: of the resampling.
    """
    moved = [*_findings(now, before), *_answers(now, pairs), *_readings(now, before)]
    names = sorted({image for one in moved for image in one.now.keys() & one.before.keys()})
    table = np.full((len(names), len(moved)), math.nan)
    for column, one in enumerate(moved):
        for row, name in enumerate(names):
            if name in one.now and name in one.before:
                table[row, column] = one.now[name] - one.before[name]
    means = simultaneous(table, CONFIDENCE, seed=seed) if names else []
    return [
        _difference(
            one, *((means[i].value, means[i].n, means[i].spread) if means else (None, 0, None))
        )
        for i, one in enumerate(moved)
    ]


def _difference(one: _Moved, value: float | None, n: int, spread: Spread | None) -> Difference:
    notes = [one.note] if one.note else []
    if n and spread is None:
        notes.append(
            "too few images in common for an interval"
            if n < MIN_IMAGES
            else "the same on every image, which proves nothing of others"
        )
    return Difference(
        check=one.name,
        observed=one.observed,
        baseline=one.baseline,
        difference=value if n else None,
        interval=None
        if spread is None
        else Interval(spread.low, spread.high, spread.confidence, spread.method, adjusted=True),
        n=n,
        note="; ".join(notes),
        unit=one.unit,
    )


def _findings(now: Seen, before: Seen) -> Iterator[_Moved]:
    then = {finding.check: finding for finding in before.findings}
    common = bool(images(now) & images(before))
    for finding in now.findings:
        if has_tolerance(finding):
            continue
        old = then.get(finding.check)
        if old is None:
            yield _Moved(finding.check, {}, {}, finding.observed, None, note="not in the baseline")
            continue
        shared = finding.per_image.keys() & old.per_image.keys()
        if not shared:
            note = _unpaired(finding, old, common)
        else:
            same = finding.declared == old.declared
            note = "" if same else "declared differently in the baseline"
            if measures(finding) != measures(old):
                note = "measured differently in the baseline"
        yield _Moved(
            finding.check,
            finding.per_image,
            old.per_image,
            finding.observed,
            old.observed,
            note=note,
        )


def _unpaired(now: Finding, then: Finding, common: bool) -> str:
    """Why no image of a finding can be paired, although both audits hold it."""
    nothing = [
        where
        for where, one in (("in this audit", now), ("in the baseline", then))
        if one.observed is None
    ]
    if nothing:
        return f"not applicable {' and '.join(nothing)}"
    if common:
        return "no image counts in both audits, though both were asked about the same ones"
    return "no image in common"


def _answers(now: Seen, pairs: Sequence[Pair]) -> Iterator[_Moved]:
    if not pairs or now.subject.answers == "given":
        return
    changed: dict[str, list[float]] = {}
    for pair in pairs:
        moved = pair.now.answer != pair.before.answer and not pair.tie
        changed.setdefault(pair.now.cluster, []).append(float(moved))
    shares = {image: fmean(values) for image, values in changed.items()}
    yield _Moved(
        "answers that changed",
        shares,
        dict.fromkeys(shares, 0.0),
        fmean(v for values in changed.values() for v in values),
        None,
        unit="share of answers",
    )


def _readings(now: Seen, before: Seen) -> Iterator[_Moved]:
    """Nodes, reversals and grounding of tokens, where both documents hold their probes."""
    if now.probes is None or before.probes is None:
        return
    depths = now.subject.blocks, before.subject.blocks
    relative = depths[0] != depths[1]
    unit = "share of depth" if relative else "states"

    def node(name: str) -> list[Callable[[TokenReading], float | None]]:
        def place(depth: int) -> Callable[[TokenReading], float | None]:
            def read(token: TokenReading) -> float | None:
                state: int | None = getattr(token, name)
                if state is None or not token.eligible:
                    return None
                return state / max(depth, 1) if relative else float(state)

            return read

        return [place(depth) for depth in depths]

    for name, of_unit, reads, reduce in (
        ("critical state", unit, node("critical"), median),
        ("settle state", unit, node("settle"), median),
        ("late reversals", "share of tokens", [_late, _late], fmean),
        ("image kept at the last state", "share of the peak", [_kept, _kept], median),
    ):
        one = _by_image(now.probes, reads[0], reduce)
        other = _by_image(before.probes, reads[1], reduce)
        if shared := one.keys() & other.keys():
            yield _Moved(
                name,
                one,
                other,
                fmean(one[image] for image in shared),
                fmean(other[image] for image in shared),
                unit=of_unit,
            )


def _by_image(
    probes: Sequence[ProbeReading],
    read: Callable[[TokenReading], float | None],
    reduce: Callable[[Sequence[float]], float],
) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for probe in probes:
        values = [value for token in probe.tokens if (value := read(token)) is not None]
        if values:
            found.setdefault(probe.cluster, []).extend(values)
    return {image: float(reduce(values)) for image, values in found.items()}


def _late(token: TokenReading) -> float | None:
    return float(bool(token.mutations)) if token.eligible else None


def _kept(token: TokenReading) -> float | None:
    """As the grounding reading has it: content tokens whose curve says anything."""
    curve = token.without_image
    if token.kind != "content" or not curve or max(curve) < _GROUNDED:
        return None
    return curve[-1] / max(curve)
