"""Geometry of one probe: curves of its tokens, heat map, sparklines, leading tokens."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lvlm_audit.document import ProbeReading, StageReading, TokenReading
from lvlm_audit.report import raster
from lvlm_audit.report.charts import (
    Scale,
    Tick,
    index_ticks,
    line,
    nice_top,
    point_labels,
    spread,
    value_ticks,
)
from lvlm_audit.report.ribbon import STAGE_KEYS, stage_starts
from lvlm_audit.report.shown import JSD, Shown
from lvlm_audit.report.words import finite, number, token

MAX_TOKENS = 64
"""Tokens of one answer that are drawn; the rest is counted and kept in the JSON document."""
HUES = 6
"""Line colours; further content tokens reuse them, told apart by their direct labels."""

_ORDER = {"content": 0, "copied": 1, "function": 2, "punctuation": 3}


@dataclass(frozen=True, slots=True)
class Series:
    """One token's curve."""

    label: str
    key: str
    path: str
    label_y: float | None
    end_y: float
    nodes: list[tuple[float, float]]
    """Its critical state."""
    flips: list[tuple[float, float]]
    """Late changes of its leader."""
    title: str


@dataclass(frozen=True, slots=True)
class TokenChart:
    """Curves of the eligible tokens of one answer over the states."""

    width: float
    height: float
    x: Scale
    y: Scale
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    shades: list[tuple[str, float, float]]
    series: list[Series]
    unlabelled: int
    last: int
    unit: str


def _keys(tokens: Sequence[TokenReading]) -> list[str]:
    """A colour for each content word, grey for the rest: content is what the eye should follow."""
    hue, keys = 0, []
    for one in tokens:
        if one.kind in {"content", "copied"}:
            keys.append(f"c{hue % HUES}")
            hue += 1
        else:
            keys.append("cx")
    return keys


def token_chart(
    probe: ProbeReading,
    stages: StageReading,
    value: Callable[[TokenReading], Sequence[float] | None] = lambda t: t.probability,
    unit: str = "probability",
    height: float = 300.0,
) -> TokenChart | None:
    """Geometry of one curve per eligible token, or None where no token has one."""
    drawn = [t for t in probe.tokens[:MAX_TOKENS] if t.eligible and value(t)]
    if not drawn:
        return None
    width, gutter = 526.0, 122.0
    last = max(1, *(len(value(t) or ()) - 1 for t in drawn))
    known = [v for t in drawn for v in map(finite, value(t) or ()) if v is not None]
    top = 1.0 if unit == "probability" else nice_top(max(known, default=1.0))
    x, y = Scale(0, last, 40, width - gutter), Scale(0, top, height - 36, 14)
    room = int((y.start - y.end) // 13) + 1
    by_weight = sorted(range(len(drawn)), key=lambda i: (_ORDER.get(drawn[i].kind, 4), i))
    named = sorted(by_weight[:room])
    ends = [_end(value(t) or (), y) for t in drawn]
    places = dict(zip(named, spread([ends[i] for i in named], 13, y.end, y.start), strict=True))
    series = []
    for index, (one, key) in enumerate(zip(drawn, _keys(drawn), strict=True)):
        curve = value(one) or ()
        series.append(
            Series(
                label=_label(one.text, 14),
                key=key,
                path=line(curve, x, y),
                label_y=places.get(index),
                end_y=ends[index],
                nodes=_points([one.critical], curve, x, y),
                flips=_points(one.mutations, curve, x, y),
                title=f"{token(one.text)} ({one.kind})",
            )
        )
    # Words are drawn last, so that they lie above the grey of function words.
    series.sort(key=lambda s: s.key != "cx")
    return TokenChart(
        width=width,
        height=height,
        x=x,
        y=y,
        x_ticks=index_ticks(last, x),
        y_ticks=value_ticks(y, unit, 5),
        shades=_shades(stages, x, last),
        series=series,
        unlabelled=len(drawn) - len(named),
        last=last,
        unit=unit,
    )


def _label(text: str, limit: int) -> str:
    """A token beside a curve; a lone mark would look like a speck, so it is named: "(comma)"."""
    bare = text.strip(" ")
    if len(bare) == 1 and not bare.isalnum() and bare.isascii() and bare.isprintable():
        return f"({unicodedata.name(bare).lower().removesuffix(' mark')})"
    return token(text, limit)


def _end(curve: Sequence[float], y: Scale) -> float:
    known = [v for v in map(finite, curve) if v is not None]
    return y(known[-1]) if known else y.start


def _points(
    states: Sequence[int | None], curve: Sequence[float], x: Scale, y: Scale
) -> list[tuple[float, float]]:
    found = []
    for state in states:
        if state is not None and 0 <= state < len(curve):
            value = finite(curve[state])
            if value is not None:
                found.append((x(state), y(value)))
    return found


def _shades(stages: StageReading, x: Scale, last: int) -> list[tuple[str, float, float]]:
    """The model's stages behind a chart; borders lie halfway between states."""
    if last != stages.blocks:
        return []
    found, _ = stage_starts(stages)
    shades = []
    for band in found:
        left = x.start if band.first == 0 else x(band.first - 0.5)
        right = x.end if band.last == last else x(band.last + 0.5)
        shades.append((STAGE_KEYS[band.stage], left, round(right - left, 1)))
    return shades


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
            Tick(round(y0 + (i + 0.5) * row, 1), _label(t.text, 12)) for i, t in enumerate(tokens)
        ],
        x_ticks=index_ticks(columns - 1, middle),
        legend_y=y0 + plot_height + 52,
        legend_ticks=[Tick(legend(raster.shade(v, shown.top)), number(v)) for v in shown.ticks],
        values="/".join(point_labels(row) for row in values),
        names="\n".join(token(t.text, 12) for t in tokens),
        last=columns - 1,
    )


@dataclass(frozen=True, slots=True)
class Spark:
    """A token's probability against its strongest rivals, small enough for a table row."""

    emitted: str
    rivals: list[str]
    node: tuple[float, float] | None
    flips: list[tuple[float, float]]


SPARK_WIDTH, SPARK_HEIGHT = 168, 34


def spark(one: TokenReading) -> Spark:
    """Geometry of a token's sparkline; every one has the same axes: all states, 0 to 1."""
    x = Scale(0, max(1, len(one.probability) - 1), 3, SPARK_WIDTH - 3)
    y = Scale(0, 1, SPARK_HEIGHT - 4, 4)
    rivals = [r.get("probability") for r in one.rivals[:3]]
    nodes = _points([one.critical], one.probability, x, y)
    return Spark(
        emitted=line(one.probability, x, y),
        rivals=[line(r, x, y) for r in rivals if isinstance(r, list)],
        node=nodes[0] if nodes else None,
        flips=_points(one.mutations, one.probability, x, y),
    )


@dataclass(frozen=True, slots=True)
class Cell:
    """The leading token at one state."""

    text: str
    value: str
    depth: int
    """Probability in tenths, 0..9, for the shade."""
    same: bool
    """The leader is that of the state before."""


def leaders(one: TokenReading) -> list[Cell]:
    """The leading token at every state, as cells of a logit lens table."""
    cells: list[Cell] = []
    before: str | None = None
    for text, raw in zip(one.leaders, one.leader_probability, strict=False):
        value = finite(raw)
        cells.append(
            Cell(
                text=token(text, 11),
                value=number(value, 2) if value is None or value >= 0.01 else "<.01",
                depth=0 if value is None else min(9, max(0, int(10 * value))),
                same=text == before,
            )
        )
        before = text
    return cells
