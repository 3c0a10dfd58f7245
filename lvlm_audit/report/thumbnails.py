"""Thumbnails of a page: none that could be more than a small raster image, and not too many."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lvlm_audit.document import ProbeReading

_IMAGE_URI = re.compile(r"data:image/(?:png|jpeg|webp);base64,[A-Za-z0-9+/]+={0,2}")
MAX_IMAGE = 150_000
"""Characters of a thumbnail's data URI; what is larger would make the page slow to open."""
MAX_IMAGES = 1_200_000
"""Characters of all thumbnails of a page together."""


def trusted_image(uri: str | None) -> str | None:
    """The thumbnail's data URI if it can be nothing but a small raster image, else None.

    SVG is refused: it could carry script and references. So is anything too large for a thumbnail.
    """
    if uri is None or len(uri) > MAX_IMAGE or not _IMAGE_URI.fullmatch(uri):
        return None
    return uri


def thumbnails(probes: Sequence[ProbeReading]) -> Iterator[list[str]]:
    """Per probe the thumbnails that can be shown, as long as the page can carry them."""
    left = MAX_IMAGES
    for probe in probes:
        shown = []
        for image in map(trusted_image, (probe.image, *probe.more_images)):
            left -= len(image or "")
            if image is not None and left >= 0:
                shown.append(image)
        yield shown
