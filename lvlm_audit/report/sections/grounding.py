"""Grounding: at which states the image enters the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import Audit
from lvlm_audit.report.drawing.overlay import Overlay, overlay


@dataclass(frozen=True, slots=True)
class Grounding:
    """What the template reads."""

    name: ClassVar[str] = "grounding"

    chart: Overlay | None


def section(audit: Audit) -> Grounding | None:
    """Draw the grounding curves; None where the answers were read with their own images only."""
    if audit.grounding is None:
        return None
    named = [(curve.name, curve) for curve in audit.grounding.curves]
    return Grounding(overlay("Divergence from the run with its own image", named))
