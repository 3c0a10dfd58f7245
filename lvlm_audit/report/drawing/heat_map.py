"""Geometry and picture of one answer's heat map: tokens by transitions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lvlm_audit.document import ProbeReading
from lvlm_audit.report.drawing import raster
from lvlm_audit.report.drawing.axes import Scale, Tick, index_ticks
from lvlm_audit.report.drawing.shown import JSD, Shown
from lvlm_audit.report.drawing.token_chart import MAX_TOKENS, token_label
from lvlm_audit.report.words import finite, number, token


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Tokens by transitions, a divergence between neighbouring states as colour."""

    shown: Shown

    width: float
    height: float
    x0: float
    y0: float
    plot_width: float
    plot_height: float
    image: str
    rows: list[Tick]
    x_ticks: list[Tick]
    legend_y: float
    legend_ticks: list[Tick]
    values: str
    """Rows parted by "/", values by a blank, for the pointer read-out."""
    names: str
    last: int


LEGEND = raster.data_uri(raster.png([list(range(255))]))
"""The ramp itself; it is drawn on the scale on which the cells are."""


def heat_map(probe: ProbeReading, shown: Shown = JSD) -> HeatMap | None:
    """Geometry and picture of the divergence between neighbouring states of every token of one answer."""
    values = shown.rows(probe)[:MAX_TOKENS]
    tokens = [t for t, row in zip(probe.tokens, values, strict=False) if row]
    values = [row for row in values if row]
    if not tokens:
        return None
    columns = max(map(len, values))
    row = 12.0 if len(tokens) > 24 else min(22.0, max(15.0, 240 / len(tokens)))
    row = round(row)
    width, x0, y0 = 526.0, 96.0, 8.0
    plot_width, plot_height = width - x0 - 12, row * len(tokens)
    cells = [
        [raster.shade(finite(v), shown.top) for v in row] + [255] * (columns - len(row))
        for row in values
    ]
    cell = plot_width / columns
    middle = Scale(0, max(1, columns - 1), x0 + cell / 2, x0 + plot_width - cell / 2)
    legend = Scale(0, 254, x0, x0 + 220)
    return HeatMap(
        shown=shown,
        width=width,
        height=y0 + plot_height + 92,
        x0=x0,
        y0=y0,
        plot_width=plot_width,
        plot_height=plot_height,
        image=raster.data_uri(raster.png(cells)),
        rows=[
            Tick(round(y0 + (i + 0.5) * row, 1), token_label(t.text, 12))
            for i, t in enumerate(tokens)
        ],
        x_ticks=index_ticks(columns - 1, middle),
        legend_y=y0 + plot_height + 52,
        legend_ticks=[Tick(legend(raster.shade(v, shown.top)), number(v)) for v in shown.ticks],
        values="/".join(point_labels(row) for row in values),
        names="\n".join(token(t.text, 12) for t in tokens),
        last=columns - 1,
    )


def point_labels(values: Iterable[float | None]) -> str:
    """Values as compact text for the script's pointer read-out."""
    return " ".join("" if finite(v) is None else number(v, 3) for v in values)
