"""A folder of images, all asked the same question."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import NoReturn

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.decoding import HEIF_EXTRA, readable_suffixes
from lvlm_audit.probes.drafts import Draft
from lvlm_audit.probes.formats import mme
from lvlm_audit.probes.probe import ImageSource
from lvlm_audit.probes.quoting import short, visible
from lvlm_audit.probes.source import Source

DEFAULT_PROMPT = "Describe the image."
"""What a folder's images are asked when no prompt is given."""

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
"""The commonest file names of images. What else this installation reads is asked of Pillow."""

# File names of images that Pillow does not register where it cannot read them.
_ALSO_IMAGES = frozenset(
    {".avif", ".heic", ".heif", ".hif", ".jxl", ".svg", ".raw"}
    | {".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2"}
)
_VIDEOS = frozenset({".mpg", ".mpeg"})


def drafts(source: Source) -> Iterator[Draft]:
    """The folder's images, in natural order, all asked the same; or MME's questions, if it is laid out so.

    Raises:
        ProbeError: there are none, or the folder cannot be listed.
    """
    from PIL import Image

    # Absolute, so that the probes stay readable when the working directory changes.
    root = source.path.absolute()
    readable = readable_suffixes()
    looking = frozenset(Image.registered_extensions()) - _VIDEOS | _ALSO_IMAGES
    images: list[PurePath] = []
    unread: list[PurePath] = []
    others: list[PurePath] = []
    for found in _walk(root, source):
        suffix = found.suffix.lower()
        kind = images if suffix in readable else unread if suffix in looking else others
        kind.append(found)
    for paths in (images, unread, others):
        paths.sort(key=_natural_key)
    if not images:
        raise ProbeError(_no_images(source.path, source.where, unread, others, readable))
    texts = mme.texts_of(root, images, others) if source.prompt is None else {}
    asked = set(texts.values())
    _note(source, images, unread, [path for path in others if path not in asked])
    if texts:
        for path in images:
            if path not in texts:
                source.remarks.add(
                    "probes", "left out: no questions beside", "image", path.as_posix()
                )
        yield from mme.drafts(source.where, root, images, texts)
        return
    prompt = DEFAULT_PROMPT if source.prompt is None else source.prompt
    for image in images:
        name = image.as_posix()
        shown = ImageSource(name=name, path=root / image)
        yield Draft(source.where, (shown,), prompt, visible(image.with_suffix("").as_posix()))


def _note(
    source: Source, images: list[PurePath], unread: list[PurePath], others: list[PurePath]
) -> None:
    """Says what of a folder is asked and what is not."""
    for path in images:
        if path.parent.parts:
            source.remarks.add("probes", "subfolders are read as well", "folder", path.parts[0])
    for path in unread:
        source.remarks.add("images", f"left out: {_why_unread(unread)}", "file", path.as_posix())
    for path in others:
        source.remarks.add("probes", "left out: not named like an image", "file", path.as_posix())


def _why_unread(unread: list[PurePath]) -> str:
    """One reason for all image files that cannot be read."""
    suffixes = sorted({path.suffix.lower() for path in unread})
    heic = not {".heic", ".heif", ".hif"}.isdisjoint(suffixes)
    remedy = f"; {HEIF_EXTRA}" if heic else ""
    return f"images that cannot be read here ({', '.join(suffixes[:5])}{remedy})"


def _walk(root: Path, source: Source) -> Iterator[PurePath]:
    """Every file below `root` that is not hidden, relative to it."""
    where = source.where

    def refuse(error: OSError) -> NoReturn:
        raise ProbeError(
            f"cannot list {error.filename!r} in {where}: {error.strerror or error}. "
            f"Check its permissions."
        ) from error

    for folder, subfolders, files in os.walk(root, onerror=refuse):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        relative = PurePath(folder).relative_to(root)
        for name in subfolders:
            if os.path.islink(os.path.join(folder, name)):
                linked = (relative / name).as_posix()
                source.remarks.add("probes", "left out: links are not followed", "folder", linked)
        for name in files:
            # macOS leaves "._photo.jpg" beside photo.jpg, which is named like an image and is none.
            if not name.startswith("."):
                yield relative / name


def _no_images(
    folder: Path,
    where: str,
    unread: list[PurePath],
    others: list[PurePath],
    readable: frozenset[str],
) -> str:
    if unread:
        first = ", ".join(short(path.as_posix()) for path in unread[:3])
        return (
            f"no probes at {where}: it holds {len(unread)} {_why_unread(unread)}, first: {first}, and no other "
            f"image. Convert them to PNG or JPEG."
        )
    if not others:
        return f"no probes at {where}: the folder is empty. Put images into it."
    known = ", ".join(sorted(IMAGE_SUFFIXES))
    lists = [path for path in others if path.suffix.lower() == ".jsonl"]
    if lists:
        remedy = f"Did you mean the list in it, {str(folder / lists[0])!r}?"
    else:
        seen = sorted({o.suffix.lower() or "no suffix" for o in others})
        shown = ", ".join(repr(s) for s in seen[:5]) + (", ..." if len(seen) > 5 else "")
        remedy = f"It holds files with {shown}. Convert the images, or name another folder."
    more = len(readable - IMAGE_SUFFIXES)
    return f"no probes at {where}: no file in it is named like an image ({known} and {more} more). {remedy}"


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
