"""From paired replays to the document's grounding reading."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lvlm_audit.document import GroundingReading, LayerSummary, Node, Quantity, rounded
from lvlm_audit.metrics.grounding_curve import MIN_GROUNDING, read_grounding
from lvlm_audit.readings.answers import interval_of, node_reading, summarised
from lvlm_audit.recordings.answer_pairs import ANSWER_PAIRS, NO_IMAGE_PAIRS
from lvlm_audit.recordings.evidence import Evidence
from lvlm_audit.stages.summary import Images
from lvlm_audit.statistics import Spread, bootstrap_median, median_over_images

CONFIDENCE = 0.95
KEPT = 0.5
"""Late layers give the image up when less than this share of the peak is left: `image_kept`'s bound."""

Reals = npt.NDArray[np.float64]


def grounding_reading(evidence: Evidence, *, seed: int = 0) -> GroundingReading:
    """Where the image enters the answers' content tokens, and what is left of it at the end."""
    curves = _curves(evidence)
    pairs = [p for p in evidence.of(NO_IMAGE_PAIRS) if p.content.any()]
    if not pairs:
        reason = evidence.named(NO_IMAGE_PAIRS.name).reason or (
            "no answer was replayed without an image"
            if not evidence.of(NO_IMAGE_PAIRS)
            else "no answer has a content token"
        )
        return GroundingReading(False, f"Not measured: {reason.rstrip('.')}.", curves=curves)
    values = np.concatenate([p.divergence[p.content] for p in pairs])
    of = np.concatenate([np.repeat(p.asked.cluster, p.content.sum()) for p in pairs])
    read = read_grounding(values)
    images = Images(of, values.shape[1] - 1, CONFIDENCE, seed)
    enters, half = (node_reading(images.node(states)) for states in (read.enters, read.half))
    peak, before, last = (
        _quantity(v, of, seed) for v in (read.peak, read.left_before_last, read.left_at_last)
    )
    ungrounded = int((~read.grounded).sum())
    return GroundingReading(
        measured=True,
        words=_words(len(values), ungrounded, enters, half, peak, before, last),
        images=images.count,
        tokens=len(values),
        ungrounded=ungrounded,
        minimum=MIN_GROUNDING,
        enters=enters,
        half=half,
        peak=peak,
        left_before_last=before,
        left_at_last=last,
        curves=curves,
    )


def _curves(evidence: Evidence) -> list[LayerSummary]:
    conditions = (
        ("own image against no image", evidence.of(NO_IMAGE_PAIRS)),
        ("own image against another probe's image", evidence.of(ANSWER_PAIRS)),
    )
    found = [
        summarised(
            name, "bits", "state", [(p.asked.cluster, p.divergence[p.content]) for p in pairs]
        )
        for name, pairs in conditions
    ]
    return [curve for curve in found if curve is not None]


def _quantity(values: Reals, of: npt.NDArray[np.str_], seed: int) -> Quantity:
    _, medians = median_over_images(values, of)
    if not medians.size:
        return Quantity(None, None)
    spread = bootstrap_median(medians, confidence=CONFIDENCE, seed=seed)
    if spread is None:
        # Bits and shares of a peak both lie within 0 and 1.
        spread = Spread(0.0, 1.0, CONFIDENCE, "full range")
    return Quantity(rounded(float(np.median(medians))), interval_of(spread))


def _words(
    tokens: int,
    ungrounded: int,
    enters: Node | None,
    half: Node | None,
    peak: Quantity,
    before: Quantity,
    last: Quantity,
) -> str:
    none = (
        f"{ungrounded} of {tokens} content tokens have no grounding to speak of: taking the image away "
        f"moves them by less than {MIN_GROUNDING} bit at every state."
        if ungrounded
        else f"All {tokens} content tokens are grounded: taking the image away moves each by at least "
        f"{MIN_GROUNDING} bit at some state."
    )
    if ungrounded == tokens:
        return none
    said = [
        f"The image enters at state {_state(enters)} (10 % of the peak) and has half of its effect from "
        f"state {_state(half)} on. The peak is {peak.value:.2g} bit. {before.value:.0%} of a token's own "
        f"peak is left at the last state but one and {last.value:.0%} at the last."
    ]
    interval = last.interval
    assert interval is not None
    if interval.low >= KEPT:
        said.append("Late layers do not give the image up.")
    elif interval.high < KEPT:
        said.append(f"Late layers give the image up: less than {KEPT:.0%} of it is left.")
    else:
        said.append(
            f"Whether late layers give it up is undecided: the interval holds {KEPT:.0%} of the peak."
        )
    return " ".join([*said, none])


def _state(node: Node | None) -> str:
    return "—" if node is None or node.state is None else f"{node.state:g}"
