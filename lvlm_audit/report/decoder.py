"""The comparison with the decoder alone, as its template reads it."""

from __future__ import annotations

from dataclasses import dataclass

from lvlm_audit.document import Audit, SideDifference
from lvlm_audit.report.charts import Whisker, whisker
from lvlm_audit.report.overlay import Overlay, overlay
from lvlm_audit.report.ribbon import Ribbon, ribbon

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
class DecoderView:
    """Both sides, their curves and their differences."""

    sides: list[Side]
    charts: list[Overlay]
    differences: list[tuple[SideDifference, Whisker | None]]


def decoder_view(audit: Audit) -> DecoderView | None:
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
    return DecoderView(
        sides=[
            Side(name, s.pattern, ribbon(s, 1040), ribbon(s, 328), s.blocks) for name, s in sides
        ],
        charts=charts,
        differences=[(one, _drawing(one)) for one in found.differences],
    )


def _drawing(one: SideDifference) -> Whisker | None:
    if one.difference is None:
        return None
    # Against no difference: the line stands at zero, and no side of it is called good.
    return whisker(one.difference, one.interval, 0.0, "", one.unit, width=230, symmetric=True)
