"""Layer by layer: one curve a quantity, and the share of late changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import Audit
from lvlm_audit.report.drawing.band_chart import BandChart, LayerChart, bar_chart, layer_chart


@dataclass(frozen=True, slots=True)
class Layers:
    """What the template reads."""

    name: ClassVar[str] = "layers"

    charts: list[LayerChart]
    mutation: BandChart | None


def section(audit: Audit) -> Layers:
    """Draw the layer curves."""
    changes = audit.stages.mutation_share
    return Layers(
        charts=[layer_chart(layer) for layer in audit.layers],
        mutation=bar_chart(changes) if changes else None,
    )
