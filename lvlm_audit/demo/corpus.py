"""Training pictures as arrays, with what covers each patch: rendered once, kept on disk."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lvlm_audit.demo.drawing import draw_scene, object_mask
from lvlm_audit.demo.recipe import TowerShape
from lvlm_audit.demo.scenes import BACKGROUND_COLORS, KINDS, OBJECT_COLORS, Scene, make_scene

#: A patch belongs to an object when at least this share of its pixels does.
_COVERED: Final[float] = 0.08
_CHUNK: Final[int] = 500


@dataclass(frozen=True)
class Corpus:
    """Pictures and per-patch ground truth of consecutive scene seeds.

    Attributes:
        pixels: uint8, (scenes, 3, side, side).
        kinds: int8, (scenes, patches): 0 for background, else 1 + index in `KINDS`.
        colors: int8, (scenes, patches): 0 for background, else 1 + index in `OBJECT_COLORS`.
        order: int8, (scenes, patches): 0 for background, else 1.. by position from the left.
        background: int8, (scenes,): index in `BACKGROUND_COLORS`.
        counts: int8, (scenes, kinds): how many objects of each kind.
    """

    pixels: NDArray[np.uint8]
    kinds: NDArray[np.int8]
    colors: NDArray[np.int8]
    order: NDArray[np.int8]
    background: NDArray[np.int8]
    counts: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.pixels)


def model_pixels(scene: Scene, side: int) -> NDArray[np.uint8]:
    """What the image processor would make of a scene's picture: (3, side, side), 0..255."""
    image = draw_scene(scene, 2 * side).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(image).transpose(2, 0, 1)


def render_corpus(
    first_seed: int, count: int, tower: TowerShape, *, processes: int = 2, cache: Path | None = None
) -> Corpus:
    """Renders the scenes of `count` consecutive seeds.

    Args:
        first_seed: First scene seed.
        count: Number of scenes.
        tower: Decides the picture's side and the patches.
        processes: Worker processes; 0 renders in this one.
        cache: A `.npz` file to reuse if it exists and to write otherwise.

    Returns:
        The pictures and their per-patch ground truth.
    """
    if cache is not None and cache.exists():
        with np.load(cache, allow_pickle=False) as stored:
            return Corpus(**{name: stored[name] for name in Corpus.__dataclass_fields__})
    starts = range(first_seed, first_seed + count, _CHUNK)
    jobs = [(start, min(_CHUNK, first_seed + count - start), tower) for start in starts]
    if processes:
        with ProcessPoolExecutor(processes) as pool:
            parts = list(pool.map(_render_chunk, jobs))
    else:
        parts = [_render_chunk(job) for job in jobs]
    arrays: dict[str, Any] = {
        name: np.concatenate([part[name] for part in parts]) for name in parts[0]
    }
    if cache is not None:
        partial = cache.with_suffix(".partial.npz")
        np.savez(partial, **arrays)
        partial.replace(cache)
    return Corpus(**arrays)


def _render_chunk(job: tuple[int, int, TowerShape]) -> dict[str, NDArray[Any]]:
    start, count, tower = job
    side, grid = tower.image_size, tower.image_size // tower.patch_size
    kind_index = {kind: index for index, kind in enumerate(KINDS)}
    pixels = np.zeros((count, 3, side, side), np.uint8)
    patches = np.zeros((3, count, grid * grid), np.int8)
    background = np.zeros(count, np.int8)
    counts = np.zeros((count, len(KINDS)), np.int8)
    for row in range(count):
        scene = make_scene(start + row)
        pixels[row] = model_pixels(scene, side)
        background[row] = BACKGROUND_COLORS.index(scene.background)
        most = np.full(grid * grid, _COVERED)
        for place, thing in enumerate(scene.objects):
            mask = np.asarray(object_mask(thing, side), dtype=np.float64) / 255.0
            blocks = mask.reshape(grid, tower.patch_size, grid, tower.patch_size)
            covered = blocks.mean(axis=(1, 3)).reshape(-1)
            wins = covered >= most
            most[wins] = covered[wins]
            patches[0, row, wins] = 1 + kind_index[thing.kind]
            patches[1, row, wins] = 1 + OBJECT_COLORS.index(thing.color)
            patches[2, row, wins] = 1 + place
            counts[row, kind_index[thing.kind]] += 1
    return {
        "pixels": pixels,
        "kinds": patches[0],
        "colors": patches[1],
        "order": patches[2],
        "background": background,
        "counts": counts,
    }
