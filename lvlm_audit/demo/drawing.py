"""Draws scenes: supersampled shapes with light shading on varied backgrounds (PIL only)."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lvlm_audit.demo.scenes import RGB, Scene, SceneObject

FloatArray = NDArray[np.float64]
Polygon = FloatArray  # shape (points, 2), in the object's own frame: x right, y down, about -1..1

#: Pixels are drawn at this multiple of the wanted size and averaged down: clean edges.
SUPERSAMPLING: Final[int] = 2

_TURN: Final[FloatArray] = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)


def _ellipse(x: float, y: float, rx: float, ry: float) -> Polygon:
    return np.stack([x + rx * np.cos(_TURN), y + ry * np.sin(_TURN)], axis=1)


def _polygon(*points: tuple[float, float]) -> Polygon:
    return np.asarray(points, dtype=np.float64)


def _banana() -> tuple[list[Polygon], list[Polygon]]:
    outer = np.linspace(0.12 * np.pi, 1.02 * np.pi, 30)
    inner = outer[::-1]
    rim = np.stack([0.95 * np.cos(outer), -0.45 + 1.15 * np.sin(outer)], axis=1)
    hollow = np.stack([0.86 * np.cos(inner), -0.50 + 0.58 * np.sin(inner)], axis=1)
    stem = _polygon((-1.0, -0.42), (-0.82, -0.42), (-0.80, -0.74), (-0.96, -0.76))
    ridge = np.stack([0.90 * np.cos(outer[4:-2]), -0.46 + 0.86 * np.sin(outer[4:-2])], axis=1)
    ridge_back = ridge[::-1] + np.asarray([0.0, 0.05])
    return [np.concatenate([rim, hollow]), stem], [np.concatenate([ridge, ridge_back]), stem]


def _tomato() -> tuple[list[Polygon], list[Polygon]]:
    angles = np.linspace(0.0, 2.0 * np.pi, 10, endpoint=False) - np.pi / 2.0
    reach = np.where(np.arange(10) % 2 == 0, 0.46, 0.14)
    calyx = np.stack([reach * np.cos(angles), -0.62 + 0.55 * reach * np.sin(angles)], axis=1)
    stem = _polygon((-0.07, -0.62), (0.07, -0.62), (0.12, -0.98), (-0.02, -0.98))
    body = [_ellipse(-0.28, 0.05, 0.68, 0.74), _ellipse(0.28, 0.05, 0.68, 0.74)]
    return [*body, _ellipse(0.0, 0.1, 0.7, 0.74), stem], [calyx, stem]


def _leaf() -> tuple[list[Polygon], list[Polygon]]:
    along = np.linspace(0.0, 1.0, 24)
    width = 0.62 * np.sin(np.pi * along**0.8)
    x = -0.72 + 1.7 * along
    blade = np.concatenate(
        [np.stack([x, -width], axis=1), np.stack([x[::-1], width[::-1]], axis=1)]
    )
    stem = _polygon((-1.0, 0.03), (-1.0, 0.13), (-0.66, 0.06), (-0.66, -0.06))
    rib = _polygon((-0.75, -0.035), (-0.75, 0.035), (0.8, 0.01), (0.8, -0.01))
    veins = [
        _polygon((at, 0.0), (at + 0.07, 0.0), (at + 0.32, side * 0.36), (at + 0.27, side * 0.38))
        for at in (-0.4, -0.05, 0.3)
        for side in (-1.0, 1.0)
    ]
    return [blade, stem], [rib, *veins]


def _sun() -> tuple[list[Polygon], list[Polygon]]:
    rays = []
    for angle in np.linspace(0.0, 2.0 * np.pi, 10, endpoint=False):
        tip = (np.cos(angle), np.sin(angle))
        left = (0.62 * np.cos(angle + 0.2), 0.62 * np.sin(angle + 0.2))
        right = (0.62 * np.cos(angle - 0.2), 0.62 * np.sin(angle - 0.2))
        rays.append(_polygon(tip, left, right))
    return [_ellipse(0.0, 0.0, 0.56, 0.56), *rays], []


def _cloud() -> tuple[list[Polygon], list[Polygon]]:
    puffs = [
        _ellipse(-0.58, 0.18, 0.42, 0.36),
        _ellipse(-0.2, -0.18, 0.46, 0.44),
        _ellipse(0.3, -0.06, 0.42, 0.4),
        _ellipse(0.64, 0.22, 0.36, 0.32),
        _ellipse(0.0, 0.22, 0.66, 0.32),
    ]
    return puffs, []


def _snowman() -> tuple[list[Polygon], list[Polygon]]:
    balls = [
        _ellipse(0.0, 0.54, 0.52, 0.46),
        _ellipse(0.0, -0.06, 0.39, 0.35),
        _ellipse(0.0, -0.52, 0.28, 0.27),
    ]
    hat = [
        _polygon((-0.34, -0.72), (0.34, -0.72), (0.34, -0.80), (-0.34, -0.80)),
        _polygon((-0.2, -0.78), (0.2, -0.78), (0.2, -1.0), (-0.2, -1.0)),
    ]
    face = [_ellipse(-0.1, -0.56, 0.045, 0.045), _ellipse(0.1, -0.56, 0.045, 0.045)]
    buttons = [_ellipse(0.0, y, 0.05, 0.05) for y in (-0.16, 0.04, 0.42, 0.62)]
    arms = [
        _polygon((-0.34, -0.08), (-0.34, -0.14), (-0.86, -0.36), (-0.88, -0.3)),
        _polygon((0.34, -0.08), (0.34, -0.14), (0.86, -0.36), (0.88, -0.3)),
    ]
    return [*balls, *hat, *arms], [*hat, *face, *buttons]


def _crow() -> tuple[list[Polygon], list[Polygon]]:
    body = _ellipse(0.02, 0.08, 0.56, 0.34)
    head = _ellipse(0.56, -0.3, 0.25, 0.24)
    neck = _polygon((0.25, -0.2), (0.48, -0.5), (0.76, -0.16), (0.5, 0.2))
    beak = _polygon((0.74, -0.42), (1.04, -0.22), (0.74, -0.18))
    tail = _polygon((-0.4, -0.08), (-1.02, 0.16), (-0.98, 0.42), (-0.36, 0.3))
    legs = [
        _polygon((at, 0.34), (at + 0.07, 0.34), (at + 0.11, 0.82), (at + 0.22, 0.86),
                 (at - 0.06, 0.86))
        for at in (-0.08, 0.16)
    ]  # fmt: skip
    wing = _polygon((0.3, -0.06), (0.1, 0.22), (-0.62, 0.26), (-0.2, -0.02))
    return [body, head, neck, beak, tail, *legs], [wing, _ellipse(0.62, -0.34, 0.05, 0.05)]


def _heart() -> tuple[list[Polygon], list[Polygon]]:
    x = 16.0 * np.sin(_TURN) ** 3
    y = 13 * np.cos(_TURN) - 5 * np.cos(2 * _TURN) - 2 * np.cos(3 * _TURN) - np.cos(4 * _TURN)
    return [np.stack([x / 17.0, -(y + 2.5) / 16.0], axis=1)], []


# Kind -> (silhouette polygons, detail polygons drawn in a darker or lighter shade of the colour).
_SHAPES: Final[dict[str, tuple[list[Polygon], list[Polygon]]]] = {
    "banana": _banana(),
    "tomato": _tomato(),
    "leaf": _leaf(),
    "sun": _sun(),
    "cloud": _cloud(),
    "snowman": _snowman(),
    "crow": _crow(),
    "heart": _heart(),
}


def draw_scene(scene: Scene, size: int = 288) -> Image.Image:
    """Draws a scene.

    Args:
        scene: The ground truth.
        size: Side of the square image in pixels.

    Returns:
        An RGB image of `size` x `size` pixels, the same for the same scene and size.
    """
    side = size * SUPERSAMPLING
    rng = np.random.Generator(np.random.PCG64([scene.seed, 1]))
    canvas = Image.fromarray(_background(scene, side, rng))
    for thing in scene.objects:
        canvas.paste(_shaded(thing, side, rng), (0, 0), object_mask(thing, side))
        details = Image.new("L", (side, side))
        _fill(details, _SHAPES[thing.kind][1], thing)
        canvas.paste(_detail_color(thing.rgb), (0, 0), details)
    return canvas.reduce(SUPERSAMPLING)


def object_mask(thing: SceneObject, size: int) -> Image.Image:
    """Draws an object's silhouette.

    Args:
        thing: The object.
        size: Side of the square mask in pixels.

    Returns:
        A mode "L" image of `size` x `size` pixels: 255 inside the object, 0 outside.
    """
    mask = Image.new("L", (size, size))
    _fill(mask, _SHAPES[thing.kind][0], thing)
    return mask


def _fill(mask: Image.Image, polygons: list[Polygon], thing: SceneObject) -> None:
    pen = ImageDraw.Draw(mask)
    angle = np.deg2rad(thing.angle)
    turn = np.asarray([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    flip = np.asarray([-1.0 if thing.mirrored else 1.0, 1.0])
    for polygon in polygons:
        placed = (polygon * flip) @ turn * thing.radius + (thing.x, thing.y)
        pen.polygon([(float(x), float(y)) for x, y in placed * mask.width], fill=255)


def _background(scene: Scene, side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    base = np.asarray(scene.background_rgb, dtype=np.float64)
    light = np.ones((side, side))
    across = np.linspace(-1.0, 1.0, side)
    if scene.pattern == "gradient":
        angle = rng.uniform(0.0, 2.0 * np.pi)
        light += 0.07 * (np.cos(angle) * across[None, :] + np.sin(angle) * across[:, None])
    elif scene.pattern == "bands":
        light[int(side * rng.uniform(0.35, 0.75)) :, :] = rng.choice([0.88, 1.1])
    elif scene.pattern == "texture":
        # One grain per 1/96 of the side, whatever the size: the same picture at every size.
        grain = rng.normal(0.0, 0.05, (96, 96))
        index = np.arange(side) * 96 // side
        light += grain[np.ix_(index, index)]
    # Black stays visible as pattern only through an additive part; 12 levels keep its name.
    shade = base * light[..., None] + 12.0 * (light[..., None] - 1.0)
    return np.clip(np.rint(shade), 0, 255).astype(np.uint8)


def _shaded(thing: SceneObject, side: int, rng: np.random.Generator) -> Image.Image:
    # Lit from one side: brightness 0.90..1.06 across the object, too little to change its name.
    angle = rng.uniform(0.0, 2.0 * np.pi)
    across = ((np.arange(side) + 0.5) / side).astype(np.float32)
    right = np.float32(np.cos(angle) / thing.radius) * (across - np.float32(thing.x))
    down = np.float32(np.sin(angle) / thing.radius) * (across - np.float32(thing.y))
    light = 0.98 + 0.08 * np.clip(right[None, :] + down[:, None], -1.0, 1.0)
    # One table look-up a channel: 256 levels of light are finer than the picture's own levels.
    level = np.rint((light - 0.88) * 1275.0).astype(np.uint8)
    shades = 0.88 + np.arange(256)[:, None] / 1275.0
    table = np.clip(np.rint(np.asarray(thing.rgb) * shades), 0, 255).astype(np.uint8)
    return Image.fromarray(table[level])


def _detail_color(rgb: RGB) -> RGB:
    # Darker than the colour, or lighter where there is nothing darker than black.
    if sum(rgb) < 150:
        return rgb[0] + 55, rgb[1] + 55, rgb[2] + 55
    return int(rgb[0] * 0.72), int(rgb[1] * 0.72), int(rgb[2] * 0.72)
