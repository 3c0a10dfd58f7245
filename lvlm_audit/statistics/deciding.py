"""How many images would decide what is undecided."""

from __future__ import annotations

import math

from lvlm_audit.statistics.differences import RateDifference
from lvlm_audit.statistics.estimates import ClusterMean, ShareOfImages
from lvlm_audit.statistics.spread import MIN_IMAGES, normal_quantile, student_quantile

Estimate = ShareOfImages | ClusterMean | RateDifference


def images_to_decide(estimate: Estimate, bound: float, confidence: float) -> int | None:
    """About how many images would decide, if the observed value and its variation stay.

    An interval's half width shrinks with the square root of the number of images.

    Args:
        estimate: undecided so far.
        bound: what it is held against.
        confidence: two-sided level of its interval.

    Returns:
        Images, more than there are and at least `MIN_IMAGES`; None where the value lies on the
        bound: no number decides that.
    """
    distance = abs(estimate.value - bound)
    if isinstance(estimate, ShareOfImages):
        # At the bound, as the score interval has it (Wilson 1927).
        deviation = math.sqrt(max(bound * (1 - bound), 0.0))
    else:
        deviation = estimate.deviation(bound)
    if distance <= 1e-9 * max(abs(bound), deviation, 1e-9):
        return None
    ratio = (deviation / distance) ** 2
    needed = max(MIN_IMAGES, estimate.n + 1, math.ceil(normal_quantile(confidence) ** 2 * ratio))
    if isinstance(estimate, ShareOfImages):
        return needed
    # Student's t asks for a few more. The bootstrap's own tails may ask for one more than t.
    while needed < student_quantile(confidence, needed - 1) ** 2 * ratio:
        needed += 1
    return needed
