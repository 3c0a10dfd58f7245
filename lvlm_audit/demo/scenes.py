"""Seeded scenes with known ground truth: what is in the picture, where, and in which colour.

A scene is pure data. :mod:`lvlm_audit.demo.drawing` turns it into pixels and
:mod:`lvlm_audit.demo.questions` into questions with answers. The kinds are things that language
has opinions about (bananas are yellow), and the colour is drawn independently of the kind, so
that many scenes contradict what a language model would guess without looking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from lvlm_audit.probes.scene_words import OBJECTS

RGB = tuple[int, int, int]

#: Kind -> (plural, colours that language expects of it).
KINDS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "banana": (OBJECTS["banana"], ("yellow",)),
    "tomato": (OBJECTS["tomato"], ("red",)),
    "leaf": (OBJECTS["leaf"], ("green",)),
    "sun": (OBJECTS["sun"], ("yellow", "orange")),
    "cloud": (OBJECTS["cloud"], ("white",)),
    "snowman": (OBJECTS["snowman"], ("white",)),
    "crow": (OBJECTS["crow"], ("black",)),
    "heart": (OBJECTS["heart"], ("red", "pink")),
}

#: Colour name -> its centre in sRGB, 0..255. Objects take any but gray, backgrounds any.
PALETTE: Final[dict[str, RGB]] = {
    "red": (218, 28, 36),
    "orange": (248, 132, 12),
    "yellow": (250, 222, 44),
    "green": (38, 150, 56),
    "blue": (34, 84, 214),
    "purple": (126, 44, 164),
    "pink": (248, 152, 194),
    "brown": (118, 70, 32),
    "black": (24, 24, 28),
    "white": (247, 247, 245),
    "gray": (140, 142, 146),
}

OBJECT_COLORS: Final[tuple[str, ...]] = tuple(name for name in PALETTE if name != "gray")
BACKGROUND_COLORS: Final[tuple[str, ...]] = tuple(PALETTE)
PATTERNS: Final[tuple[str, ...]] = ("flat", "gradient", "bands", "texture")

#: Seeds below this one are for training; it and those above are for held-out scenes.
HELD_OUT_SEED: Final[int] = 1_000_000_000
#: Audit probes start here, so that they share no scene with the published accuracy figures.
PROBE_SEED: Final[int] = 2_000_000_000

# Least distance in RGB between an object's colour and the background's. It excludes pairs such
# as brown on black, which a person could not tell apart reliably at 96 pixels either.
_MIN_CONTRAST: Final[float] = 100.0
_COLOR_JITTER: Final[int] = 9


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One drawn thing.

    Attributes:
        kind: A key of `KINDS`.
        color: A name in `OBJECT_COLORS`.
        rgb: The exact base colour drawn (the palette's centre with jitter), 0..255.
        x: Centre, as a fraction of the image's width from the left.
        y: Centre, as a fraction of the image's height from the top.
        radius: Half the extent, as a fraction of the image's side.
        angle: Rotation in degrees, counter-clockwise.
        mirrored: Whether the shape is flipped left to right.
    """

    kind: str
    color: str
    rgb: RGB
    x: float
    y: float
    radius: float
    angle: float
    mirrored: bool

    @property
    def plural(self) -> str:
        """The kind's plural noun."""
        return KINDS[self.kind][0]

    @property
    def conflicts_with_prior(self) -> bool:
        """Whether language expects another colour of this kind (a blue banana)."""
        return self.color not in KINDS[self.kind][1]


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture's ground truth.

    Attributes:
        seed: The seed that made it; also its identity, as in `scene_id`.
        objects: One to three objects, from left to right.
        background: A name in `BACKGROUND_COLORS`, never the colour of an object.
        background_rgb: The exact base colour of the background, 0..255.
        pattern: One of `PATTERNS`.
    """

    seed: int
    objects: tuple[SceneObject, ...]
    background: str
    background_rgb: RGB
    pattern: str

    @property
    def scene_id(self) -> str:
        """A stable name: the cluster that all questions about this picture belong to."""
        return f"scene-{self.seed}"

    def count(self, kind: str) -> int:
        """Number of objects of `kind`."""
        return sum(thing.kind == kind for thing in self.objects)

    @property
    def unique_objects(self) -> tuple[SceneObject, ...]:
        """Objects that are the only one of their kind, so that "the banana" names one thing."""
        return tuple(thing for thing in self.objects if self.count(thing.kind) == 1)


def make_scene(seed: int) -> Scene:
    """Makes the scene of a seed; the same seed gives the same scene on every machine.

    Args:
        seed: Any non-negative integer. `HELD_OUT_SEED` divides training from held-out scenes.

    Returns:
        A scene whose objects do not overlap and whose background contrasts with all of them.

    Raises:
        ValueError: If the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"a scene's seed must be 0 or more, got {seed}")
    rng = np.random.Generator(np.random.PCG64(seed))
    number = int(rng.choice([1, 2, 3], p=[0.3, 0.4, 0.3]))
    background, colors = _sample_colors(rng, number)
    kinds = _sample_kinds(rng, number)
    objects = [
        SceneObject(
            kind=kind,
            color=color,
            rgb=_jitter(rng, PALETTE[color]),
            x=x,
            y=y,
            radius=radius,
            angle=float(rng.uniform(-18.0, 18.0)),
            mirrored=bool(rng.random() < 0.5),
        )
        for kind, color, (x, y, radius) in zip(
            kinds, colors, _sample_places(rng, number), strict=True
        )
    ]
    objects.sort(key=lambda thing: thing.x)
    return Scene(
        seed=seed,
        objects=tuple(objects),
        background=background,
        background_rgb=_jitter(rng, PALETTE[background]),
        pattern=str(rng.choice(PATTERNS)),
    )


def contrast(first: RGB, second: RGB) -> float:
    """Euclidean distance of two colours in sRGB, 0..441."""
    return float(np.linalg.norm(np.subtract(first, second)))


def _sample_colors(rng: np.random.Generator, number: int) -> tuple[str, list[str]]:
    # Object colours first and uniformly; the background gives way, never the objects.
    colors = [str(color) for color in rng.choice(OBJECT_COLORS, size=number)]
    allowed = [
        name
        for name in BACKGROUND_COLORS
        if all(contrast(PALETTE[name], PALETTE[color]) >= _MIN_CONTRAST for color in colors)
    ]
    return str(rng.choice(allowed)), colors


def _sample_kinds(rng: np.random.Generator, number: int) -> list[str]:
    kinds = [str(kind) for kind in rng.choice(list(KINDS), size=number, replace=False)]
    # Repeats are made on purpose, else almost no count question would have an answer above one.
    if number >= 2 and rng.random() < 0.4:
        kinds[1] = kinds[0]
        if number == 3 and rng.random() < 0.5:
            kinds[2] = kinds[0]
    return kinds


def _sample_places(rng: np.random.Generator, number: int) -> list[tuple[float, float, float]]:
    low, high = {1: (0.22, 0.36), 2: (0.18, 0.27), 3: (0.165, 0.21)}[number]
    while True:
        places: list[tuple[float, float, float]] = []
        for _ in range(number):
            radius = float(rng.uniform(low, high))
            x, y = rng.uniform(radius, 1.0 - radius, size=2)
            if all(np.hypot(x - a, y - b) >= radius + r + 0.01 and abs(x - a) >= 0.05
                   for a, b, r in places):  # fmt: skip
                places.append((float(x), float(y), radius))
        if len(places) == number:
            return places


def _jitter(rng: np.random.Generator, rgb: RGB) -> RGB:
    moved = np.clip(np.asarray(rgb) + rng.integers(-_COLOR_JITTER, _COLOR_JITTER + 1, 3), 0, 255)
    return int(moved[0]), int(moved[1]), int(moved[2])
