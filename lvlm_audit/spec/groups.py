"""Two groups of tokens whose shares are compared: hallucinated against correct ones, or now against before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lvlm_audit.hallucination.labels import CORRECT, HALLUCINATED, label_answers
from lvlm_audit.recordings.evidence import Evidence
from lvlm_audit.recordings.text_answers import TEXT_ANSWERS
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.spec.check import Check
from lvlm_audit.statistics import RateDifference, rate_difference
from lvlm_audit.traces.trace import Trace

OUTSIDE = "not labelled right or wrong"


@dataclass(slots=True)
class Groups:
    """Counts of both groups by image, filled token by token.

    Attributes:
        held: image -> tokens that hold, [first, second group].
        counted: image -> tokens that count.
        reason: why nothing can be compared; empty if it can.
    """

    check: Check
    truth: Mapping[str, npt.NDArray[np.int8]]
    held: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    counted: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    reason: str = ""

    def members(self, item: Trace) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """[T] tokens of the first group, and of the second, in this recording."""
        if self.check.against == "baseline":
            every = np.ones(item.tokens, dtype=bool)
            return every, ~every
        truth = self.truth[item.asked.id]
        return truth == HALLUCINATED, truth == CORRECT

    def add(self, image: str, group: int, values: npt.NDArray[np.float64]) -> None:
        """Some tokens' values, 1 or 0."""
        for counts, amount in ((self.held, values.sum()), (self.counted, len(values))):
            counts.setdefault(image, np.zeros(2))[group] += amount

    def estimate(self, seed: int) -> tuple[RateDifference, dict[str, float]] | None:
        """The difference, and that of each image that has both groups; None with a `reason`."""
        images = sorted(self.counted)
        if self.check.against == "baseline":
            # A difference between two sets of images would not be the models'.
            images = [i for i in images if (self.counted[i] > 0).all()]
        if not self.reason:
            self.reason = self._missing(images)
        if self.reason:
            return None
        held = np.stack([self.held[i] for i in images], axis=1)
        counted = np.stack([self.counted[i] for i in images], axis=1)
        with np.errstate(invalid="ignore"):
            shares = held / counted
        both = {
            image: float(shares[0, k] - shares[1, k])
            for k, image in enumerate(images)
            if np.isfinite(shares[:, k]).all()
        }
        return rate_difference(held, counted, seed=seed), both

    def _missing(self, images: list[str]) -> str:
        total = sum((self.counted[i] for i in images), np.zeros(2))
        if self.check.against == "baseline":
            return "" if images else "this audit and the baseline have no image in common"
        if not total.any():
            return "no word of these answers is labelled right or wrong"
        if not total.all():
            return f"no labelled word is {'hallucinated' if total[1] else 'correct'}"
        return ""


def groups_of(check: Check, evidence: Evidence) -> Groups:
    """Empty groups of a check that compares; with the baseline's tokens, if that is what it compares with."""
    if check.against == "correct":
        labels = label_answers(evidence.traces, evidence.of(TEXT_ANSWERS))
        return Groups(check, {one.probe: one.truth for one in labels})
    found = Groups(check, {})
    if evidence.baseline is None:
        found.reason = f"no baseline was given ({spelled('baseline')})"
        return found
    if evidence.baseline.subject.lens != evidence.lens:
        found.reason = (
            f"the baseline was read through the {evidence.baseline.subject.lens} lens, this audit through "
            f"the {evidence.lens} one"
        )
        return found
    read_back = check.metric.read_back
    assert read_back is not None
    for probe in evidence.baseline.probes:
        tokens = [
            token
            for token in probe.tokens
            if token.eligible and (check.tokens == "eligible" or token.kind == "content")
        ]
        values = np.array([read_back(token) for token in tokens], dtype=np.float64)
        found.add(probe.cluster, 1, (values >= 0.5).astype(np.float64))
    return found
