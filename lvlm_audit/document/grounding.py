"""Where the image enters the answer, and whether late layers give it up."""

from __future__ import annotations

from dataclasses import dataclass, field

from lvlm_audit.document.findings import Quantity
from lvlm_audit.document.stages import LayerSummary, Node


@dataclass(frozen=True, slots=True)
class GroundingReading:
    """The grounding curve: JSD between a token's distributions with and without the image, same text."""

    measured: bool
    words: str
    """In words: what was seen, or why it was not measured."""
    images: int = 0
    """Images with a content token."""
    tokens: int = 0
    """Content tokens."""
    ungrounded: int = 0
    """Content tokens whose curve never reaches `minimum`: they have a peak, but nodes and shares are not
    read off them."""
    minimum: float = 0.0
    """Bits."""
    enters: Node | None = None
    """State from which the curve stays at or above 10 % of its peak."""
    half: Node | None = None
    """The same for 50 %."""
    peak: Quantity | None = None
    """Bits; like the shares below a median over images of per-image medians over content tokens."""
    left_before_last: Quantity | None = None
    """Share of the peak that is left at state L-1."""
    left_at_last: Quantity | None = None
    """The same at state L."""
    curves: list[LayerSummary] = field(default_factory=list)
    """Content tokens: own image against no image, and against another probe's image."""
