"""The model against the language model inside it: the same prompts without any image."""

from __future__ import annotations

from dataclasses import dataclass

from lvlm_audit.document.findings import Interval
from lvlm_audit.document.stages import LayerSummary, StageReading


@dataclass(frozen=True, slots=True)
class SideDifference:
    """One number of both sides, with images minus without."""

    name: str
    unit: str
    """"states" or "share of tokens"."""
    with_image: float | None
    without_image: float | None
    difference: float | None
    interval: Interval | None
    """Two independent samples, resampled by image and by prompt; the full range where one of them has fewer
    than 5."""


@dataclass(frozen=True, slots=True)
class DecoderComparison:
    """What the decoder alone shows, beside what the document's `stages` and `layers` show with images."""

    asked: str
    """In words: what exactly was asked of whom."""
    words: str
    """In words: whether the paper's claim is seen here."""
    prompts: int
    """Distinct prompts: the unit of statistics without images."""
    tokens: int
    """Eligible tokens of their answers."""
    stages: StageReading | None
    """None where no answer has an eligible token."""
    layers: list[LayerSummary]
    """Nucleus mass and neighbour JSD, over prompts instead of images."""
    differences: list[SideDifference]
    """Of what both sides have."""
