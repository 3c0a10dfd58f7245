"""Geometry of the curves of one answer's tokens over the states."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lvlm_audit.document import ProbeReading, StageReading, TokenReading
from lvlm_audit.report.drawing.axes import Scale, Tick, index_ticks, nice_top, value_ticks
from lvlm_audit.report.drawing.paths import line, points
from lvlm_audit.report.drawing.ribbon import STAGE_KEYS, stage_starts
from lvlm_audit.report.words import finite, token, tokens_apart

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
    ends = [end_of(value(t) or (), y) for t in drawn]
    places = dict(zip(named, spread([ends[i] for i in named], 13, y.end, y.start), strict=True))
    series = []
    for index, (one, key) in enumerate(zip(drawn, _keys(drawn), strict=True)):
        curve = value(one) or ()
        series.append(
            Series(
                label=token_label(one.text, 14),
                key=key,
                path=line(curve, x, y),
                label_y=places.get(index),
                end_y=ends[index],
                nodes=points([one.critical], curve, x, y),
                flips=points(one.mutations, curve, x, y),
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
        shades=shades(stages, x, last),
        series=series,
        unlabelled=len(drawn) - len(named),
        last=last,
        unit=unit,
    )


def token_label(text: str, limit: int) -> str:
    """A token beside a curve; a lone mark would look like a speck, so it is named: "(comma)"."""
    bare = text.strip(" ")
    if len(bare) == 1 and not bare.isalnum() and bare.isascii() and bare.isprintable():
        return f"({unicodedata.name(bare).lower().removesuffix(' mark')})"
    return token(text, limit)


def labels_apart(texts: Iterable[str], limit: int) -> dict[str, str]:
    """Labels of tokens beside each other's curves; different tokens never have the same."""
    known = list(texts)
    apart = tokens_apart(known, limit)
    plain = {text: token_label(text, limit) for text in known}
    return {
        text: label if label.startswith("(") and "␣" not in apart[text] else apart[text]
        for text, label in plain.items()
    }


def end_of(curve: Sequence[float], y: Scale) -> float:
    """The height at which a curve ends: its last value that exists."""
    known = [v for v in map(finite, curve) if v is not None]
    return y(known[-1]) if known else y.start


def shades(stages: StageReading, x: Scale, last: int) -> list[tuple[str, float, float]]:
    """The model's stages behind a chart; borders lie halfway between states."""
    if last != stages.blocks:
        return []
    found, _ = stage_starts(stages)
    bands = []
    for band in found:
        left = x.start if band.first == 0 else x(band.first - 0.5)
        right = x.end if band.last == last else x(band.last + 0.5)
        bands.append((STAGE_KEYS[band.stage], left, round(right - left, 1)))
    return bands


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move labels apart by `gap`, each as near as it can be to its wish, within low..high.

    Neighbours that would touch are pooled and centred on their mean wish: least squares.
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    pools: list[list[float]] = []
    for rank, index in enumerate(order):
        pools.append([wanted[index] - rank * gap, 1.0])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, weight = pools.pop()
            pools[-1] = [
                (pools[-1][0] * pools[-1][1] + mean * weight) / (pools[-1][1] + weight),
                pools[-1][1] + weight,
            ]
    offsets = [mean for mean, weight in pools for _ in range(round(weight))]
    ceiling = high - (len(wanted) - 1) * gap
    placed = [0.0] * len(wanted)
    for rank, index in enumerate(order):
        placed[index] = round(max(low, min(offsets[rank], ceiling)) + rank * gap, 1)
    return placed
