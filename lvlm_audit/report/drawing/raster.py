"""Heat maps as PNG files of one pixel per cell, written with the standard library.

The page scales the picture up with `image-rendering: pixelated`, so a matrix of tokens by
transitions costs a few hundred bytes instead of one SVG rectangle per cell.
"""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Sequence
from functools import cache

# Pale to dark in even steps of lightness (OKLab), so that equal steps look equal and the order
# survives a grey print. Pale is "nothing changes", which leaves the page quiet where the model is.
_ANCHORS = ("#f7f8f3", "#d3e8c6", "#8fcabd", "#4aa0ba", "#3171a8", "#2f4288", "#1f1748")

Colour = tuple[int, int, int]


def _linear(channel: int) -> float:
    value = channel / 255
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _encoded(value: float) -> int:
    value = min(1.0, max(0.0, value))
    value = 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
    return round(255 * value)


def oklab(colour: Colour) -> tuple[float, float, float]:
    """Lightness and two opponent axes of an sRGB colour (Ottosson 2020): equal steps look equal."""
    r, g, b = (_linear(c) for c in colour)
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    medium = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _from_oklab(lab: tuple[float, float, float]) -> Colour:
    lightness, a, b = lab
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        _encoded(4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short),
        _encoded(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short),
        _encoded(-0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short),
    )


@cache
def ramp(steps: int = 256) -> tuple[Colour, ...]:
    """The sequential colour ramp, from pale (0) to dark (1)."""
    labs = [oklab((int(h[1:3], 16), int(h[3:5], 16), int(h[5:7], 16))) for h in _ANCHORS]
    colours = []
    for step in range(steps):
        # Place by lightness, not by anchor number: that is what makes the steps even.
        target = labs[0][0] + (labs[-1][0] - labs[0][0]) * step / (steps - 1)
        left = next(i for i in range(len(labs) - 1) if labs[i + 1][0] <= target + 1e-9)
        a, b = labs[left], labs[left + 1]
        t = (target - a[0]) / (b[0] - a[0])
        colours.append(_from_oklab((target, a[1] + t * (b[1] - a[1]), a[2] + t * (b[2] - a[2]))))
    return tuple(colours)


def shade(value: float | None, top: float = 1.0) -> int:
    """A value's place on the ramp, 0..254, on a square root scale; 255 for a value that is missing.

    Neighbour divergences are mostly near 0 with a few bursts. The square root of the Jensen-Shannon
    divergence is itself a distance, and it separates 0.01 from 0.04 bits as clearly as 0.25 from
    0.36.
    """
    if value is None or not math.isfinite(value):
        return 255
    return round(254 * math.sqrt(min(1.0, max(0.0, value / top))))


def png(rows: Sequence[Sequence[int]]) -> bytes:
    """A palette PNG, one pixel per cell; every row holds ramp places as `shade` gives them."""
    if not rows or not rows[0]:
        raise ValueError("a picture needs at least one cell")
    width = len(rows[0])
    if any(len(row) != width for row in rows):
        raise ValueError("the rows of a picture must be equally long")
    palette = b"".join(bytes(colour) for colour in ramp(255)) + bytes((150, 150, 150))
    body = b"".join(b"\x00" + bytes(row) for row in rows)
    header = struct.pack(">IIBBBBB", width, len(rows), 8, 3, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, data)
        for kind, data in (
            (b"IHDR", header),
            (b"PLTE", palette),
            (b"IDAT", zlib.compress(body, 9)),
            (b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def data_uri(picture: bytes) -> str:
    """A PNG as a data URI."""
    return "data:image/png;base64," + base64.b64encode(picture).decode("ascii")
