"""Hidden states: how far they spread by layer, and maps of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import Audit
from lvlm_audit.report.drawing.band_chart import LayerChart, layer_chart
from lvlm_audit.report.drawing.maps import MapView, map_view


@dataclass(frozen=True, slots=True)
class Features:
    """What the template reads."""

    name: ClassVar[str] = "features"

    curves: list[LayerChart]
    step_curves: list[LayerChart]
    maps: list[MapView]


def section(audit: Audit) -> Features | None:
    """Draw the feature level; None where no states were kept."""
    states = audit.features
    if states is None:
        return None
    step = states.common_step
    return Features(
        curves=[layer_chart(layer) for layer in states.curves],
        step_curves=[layer_chart(layer) for layer in step.curves] if step else [],
        maps=[m for m in map(map_view, states.maps) if m is not None],
    )
