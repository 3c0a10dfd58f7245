"""The audit against the decoder alone, which was asked the same without an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import Audit, SideDifference
from lvlm_audit.report.drawing.overlay import Overlay, overlay
from lvlm_audit.report.drawing.ribbon import Ribbon, ribbon
from lvlm_audit.report.drawing.whisker import Whisker, difference_whisker

WITH, WITHOUT = "with images", "without images"


@dataclass(frozen=True, slots=True)
class Side:
    """Ribbons of one side, for a wide page and a narrow one."""

    name: str
    pattern: str
    wide: Ribbon
    narrow: Ribbon
    blocks: int


@dataclass(frozen=True, slots=True)
class Decoder:
    """What the template reads: both sides, their curves and their differences."""

    name: ClassVar[str] = "decoder"

    images: int
    sides: list[Side]
    charts: list[Overlay]
    differences: list[tuple[SideDifference, Whisker | None]]


def section(audit: Audit) -> Decoder | None:
    """Arrange the comparison; None where there is none."""
    found = audit.decoder
    if found is None:
        return None
    sides = [(WITH, audit.stages)]
    if found.stages is not None:
        sides.append((WITHOUT, found.stages))
    charts = []
    for alone in found.layers:
        both = [(WITH, c) for c in audit.layers if c.name == alone.name][:1]
        chart = overlay(alone.name[:1].upper() + alone.name[1:], [*both, (WITHOUT, alone)])
        if chart is not None:
            charts.append(chart)
    return Decoder(
        images=len({probe.cluster for probe in audit.probes}),
        sides=[
            Side(name, s.pattern, ribbon(s, 1040), ribbon(s, 328), s.blocks) for name, s in sides
        ],
        charts=charts,
        differences=[
            (one, difference_whisker(one.difference, one.interval, one.unit))
            for one in found.differences
        ],
    )
