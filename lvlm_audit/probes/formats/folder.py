"""A folder of images, all asked the same question."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import NoReturn

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.drafts import Draft
from lvlm_audit.probes.probe import ImageSource
from lvlm_audit.probes.quoting import visible
from lvlm_audit.probes.source import Source

DEFAULT_PROMPT = "Describe the image."
"""What a folder's images are asked when no prompt is given."""

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
"""File names that a folder's reader takes for images, in lower case."""


def drafts(source: Source) -> Iterator[Draft]:
    """The folder's images, in natural order, all asked the same.

    Raises:
        ProbeError: there are none, or the folder cannot be listed.
    """
    folder, where = source.path, source.where
    prompt = DEFAULT_PROMPT if source.prompt is None else source.prompt
    # Absolute, so that the probes stay readable when the working directory changes.
    root = folder.absolute()
    images: list[PurePath] = []
    others: list[PurePath] = []
    for found in _walk(root, where):
        suffix = found.suffix.lower()
        (images if suffix in IMAGE_SUFFIXES else others).append(found)
    if not images:
        raise ProbeError(_no_images(folder, where, others))
    images.sort(key=_natural_key)
    for image in images:
        name = image.as_posix()
        shown = ImageSource(name=name, path=root / image)
        yield Draft(where, (shown,), prompt, visible(image.with_suffix("").as_posix()))


def _walk(root: Path, where: str) -> Iterator[PurePath]:
    """Every file below `root` that is not hidden, relative to it."""

    def refuse(error: OSError) -> NoReturn:
        raise ProbeError(
            f"cannot list {error.filename!r} in {where}: {error.strerror or error}. "
            f"Check its permissions."
        ) from error

    for folder, subfolders, files in os.walk(root, onerror=refuse):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        relative = PurePath(folder).relative_to(root)
        for name in files:
            # macOS leaves "._photo.jpg" beside photo.jpg, which is named like an image and is none.
            if not name.startswith("."):
                yield relative / name


def _no_images(folder: Path, where: str, others: list[PurePath]) -> str:
    if not others:
        return f"no probes at {where}: the folder is empty. Put images into it."
    known = ", ".join(sorted(IMAGE_SUFFIXES))
    lists = sorted((o for o in others if o.suffix.lower() == ".jsonl"), key=_natural_key)
    if lists:
        remedy = f"Did you mean the list in it, {str(folder / lists[0])!r}?"
    else:
        seen = sorted({o.suffix.lower() or "no suffix" for o in others})
        shown = ", ".join(repr(s) for s in seen[:5]) + (", ..." if len(seen) > 5 else "")
        remedy = f"It holds files with {shown}. Convert the images, or name another folder."
    return f"no probes at {where}: no file in it is named like an image ({known}). {remedy}"


def _natural_key(path: PurePath) -> tuple[list[list[tuple[int, int, str]]], str]:
    """Numbers by value, letters without case, folder by folder; the text itself breaks ties."""
    return [
        [
            (0, int(piece), "") if piece[0] in "0123456789" else (1, 0, piece.casefold())
            for piece in re.split("([0-9]+)", part)
            if piece
        ]
        for part in path.parts
    ], str(path)
