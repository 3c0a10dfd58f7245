"""A check's values, paired by image: rates in points, quantities by a share of the baseline's value."""

from __future__ import annotations

import numpy as np

from lvlm_audit.comparing.declared import (
    kind_of,
    may_rise,
    metric_of,
    support_of,
    tolerance_of,
)
from lvlm_audit.comparing.loss import Loss
from lvlm_audit.document import Finding
from lvlm_audit.statistics import quantity_change

_NOUNS = {
    "log2 likelihood ratio of the reference answer, own image over another probe's": (
        "the image's advantage"
    ),
    "surprisal of the reference answer under its own image": "the reference answers' surprisal",
    "JSD between own image and another probe's image": "the image's influence",
}
_MOST_NAMED = 5


def paired_values(
    finding: Finding, before: Finding | None, shared: set[str], *, seed: int
) -> tuple[Loss, list[str]] | str:
    """The change of a value, and the images from worst to best; a text that says why there is none.

    An image that has a value in the baseline and none now counts as the worst that can be observed; where
    that has no end, as the worst that was seen in either audit, and as 0 of an advantage.

    Args:
        finding: the check now.
        before: in the baseline; None: the baseline does not have it.
        shared: images that both audits asked.
        seed: of the resampling.
    """
    if before is None:
        return "the baseline does not have this check"
    names = sorted(shared & set(before.per_image))
    if not before.per_image:
        return "not applicable in the baseline"
    if not finding.per_image:
        return "not applicable in this audit"
    if not names:
        return "no image in common"
    old = np.array([before.per_image[name] for name in names])
    lost = [name not in finding.per_image for name in names]
    values = np.array(
        [
            _worst(finding, before, name) if missing else finding.per_image[name]
            for name, missing in zip(names, lost, strict=True)
        ]
    )
    rises, rate = may_rise(finding), kind_of(finding) == "points"

    one, other = ((1 - raw if rate else -raw) if rises else raw for raw in (values, old))
    count = sum(lost)
    loss = Loss(
        noun=_NOUNS.get(metric_of(finding), finding.check),
        change=quantity_change(one, other, seed=seed),
        tolerance=tolerance_of(finding),
        rises=rises,
        rate=rate,
        unit=finding.bound.unit,
        notes=(
            (f"{count} image{'' if count == 1 else 's'} without a value now count as the worst",)
            if count
            else ()
        ),
    )
    order = np.argsort(one - other, kind="stable")
    return loss, [names[i] for i in order if one[i] < other[i]][:_MOST_NAMED]


def _worst(finding: Finding, before: Finding, image: str) -> float:
    low, high = support_of(finding)
    seen = [*finding.per_image.values(), *before.per_image.values()]
    if may_rise(finding):
        return max(seen) if high is None else high
    if low is not None and high is not None and low == -high:
        # A difference of two: nothing is left of it.
        return min(0.0, before.per_image[image])
    return min(seen) if low is None else low
