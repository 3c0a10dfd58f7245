"""Decoding images: which formats, under which bounds, and what is seen otherwise than it is stored."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

FORMATS = (
    *("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"),
    *("AVIF", "JPEG2000", "PPM", "HEIF"),
)
"""What Pillow may be asked to decode. Named, because among Pillow's other formats are some that
start programs (EPS runs Ghostscript) on a file that nobody vouches for."""

# Formats that Pillow registers even where it was built without what decodes them.
_NEEDS = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}

HEIF_EXTRA = 'pip install "lvlm-audit[heif]" reads HEIC files'

Background = Literal["white"]
Remark = Literal["transparent", "frames"]


class Undecodable(Exception):
    """An image that cannot be shown; the text says why, and begins small."""


def readable_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this installation decodes; HEIF where pillow-heif is installed."""
    from PIL import Image, features

    Image.init()
    if "HEIF" not in Image.OPEN:
        try:
            from pillow_heif import register_heif_opener
        except ImportError:
            pass
        else:
            register_heif_opener()
    return tuple(
        name
        for name in FORMATS
        if name in Image.OPEN and (name not in _NEEDS or features.check(_NEEDS[name]))
    )


def readable_suffixes() -> frozenset[str]:
    """File name endings of `readable_formats`, as Pillow registers them, in lower case."""
    from PIL import Image

    # A phone's MPO file is a JPEG with further frames, which the JPEG reader opens.
    formats = {*readable_formats(), "MPO"}
    return frozenset(
        suffix for suffix, name in Image.registered_extensions().items() if name in formats
    )


def decode(data: bytes, background: Background | None = None) -> Image:
    """The first frame as 8-bit RGB, turned upright by its EXIF orientation.

    These are the steps of transformers' own loader (`image_utils.load_image`), so that a model is shown
    what it is shown in use: transparency is dropped, and the colours that lie under it appear.

    Args:
        data: the encoded file.
        background: what transparent parts are laid on; None drops the transparency.

    Raises:
        Undecodable: not an image, truncated, of more than 8 bits a channel, or too large to decode safely.
    """
    from PIL import Image, ImageOps

    with _opened(data) as image:
        if image.mode.startswith(("I", "F")):
            # Pillow would clip these to 8 bits: a depth map would be shown as white.
            raise Undecodable(f"its pixels are not 8-bit (Pillow mode {image.mode})")
        upright = ImageOps.exif_transpose(image)
        if background is not None and upright.has_transparency_data:
            canvas = Image.new("RGBA", upright.size, background)
            canvas.alpha_composite(upright.convert("RGBA"))
            upright = canvas
        return upright.convert("RGB")


def remarks(data: bytes) -> list[Remark]:
    """What `decode` leaves out of an image that it decodes: parts that are transparent, further frames.

    Raises:
        Undecodable: as `decode`.
    """
    found: list[Remark] = []
    with _opened(data) as image:
        if image.has_transparency_data:
            lowest, _ = image.convert("RGBA").getchannel("A").getextrema()
            if isinstance(lowest, int) and lowest < 255:
                found.append("transparent")
        # The further frames of a phone's photograph are previews and depth maps, not more of it.
        if image.format != "MPO" and _has_second_frame(image):
            found.append("frames")
    return found


def _has_second_frame(image: ImageFile) -> bool:
    try:
        image.seek(1)
    except Exception:
        # EOFError where there is none. Whatever else is wrong there is not shown.
        return False
    return True


@contextmanager
def _opened(data: bytes) -> Iterator[ImageFile]:
    from PIL import Image, UnidentifiedImageError

    formats = readable_formats()
    try:
        with warnings.catch_warnings():
            # Remarks on odd metadata name no file and help nobody; but a decompression bomb
            # must not be decoded because the user looked away.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=formats) as image:
                yield image
    except Undecodable:
        raise
    except UnidentifiedImageError as error:
        raise Undecodable(_unidentified(data, formats)) from error
    except Exception as error:
        # Pillow's decoders meet damaged files with OSError, ValueError, SyntaxError, EOFError,
        # struct.error, zlib.error ...: whatever it is, it is this file's fault and not ours.
        raise Undecodable(str(error) or type(error).__name__) from error


def _unidentified(data: bytes, formats: tuple[str, ...]) -> str:
    """Why no format was recognised: what the first bytes look like."""
    if not data:
        return "the file is empty (0 bytes)"
    if is_lfs_pointer(data):
        return "it is a Git LFS pointer, not the image itself: run `git lfs pull` in its repository"
    known = f"it is not one of {', '.join(formats)}"
    start = data[:512].lstrip().lower()
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS:
        return f"{known}: it is a HEIC file, and {HEIF_EXTRA}"
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return f"{known}: it is an AVIF file, which Pillow reads from 11.3 on"
    if data[4:8] == b"ftyp":
        return f"{known}: it is a video or another file of the MP4 family"
    if b"<svg" in start:
        return f"{known}: it is an SVG drawing, which has no pixels. Convert it to PNG"
    if start.startswith((b"<!doctype html", b"<html")):
        return f"{known}: it is a web page, as a failed download leaves it"
    if start.startswith(b"%pdf"):
        return f"{known}: it is a PDF document. Convert its pages to PNG"
    if not any(data):
        return f"{known}: it holds nothing but zero bytes, as a broken copy does"
    return known


_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def is_lfs_pointer(data: bytes) -> bool:
    """Whether these are the few lines that Git LFS leaves where the file itself was not fetched."""
    return data.startswith(b"version https://git-lfs.github.com/spec/")
