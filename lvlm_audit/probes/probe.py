"""Probe: one question about one image. Light: Pillow is imported only when an image is opened."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lvlm_audit.errors import ProbeError
from lvlm_audit.notes import Note

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
"""What Pillow may be asked to decode. Named, because among Pillow's other formats are some that
start programs (EPS runs Ghostscript) on a file that nobody vouches for."""


@dataclass(frozen=True, slots=True)
class ImageSource:
    """An encoded image, kept as a path or as bytes so that a thousand probes cost no memory.

    Attributes:
        name: what messages call it: the file's name or a description.
        path: the file, or None when `data` holds the encoded bytes.
        data: the encoded bytes (PNG, JPEG ...), or None when `path` is set.
    """

    name: str
    path: Path | None = None
    data: bytes | None = field(default=None, repr=False)

    def read(self) -> bytes:
        """The encoded bytes.

        Raises:
            ProbeError: the file is missing or cannot be read.
        """
        if self.data is not None:
            return self.data
        assert self.path is not None
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise ProbeError(
                f"cannot read image {str(self.path)!r}: {error.strerror or error}. "
                f"Check the path; in a JSONL file it is relative to the file's own folder."
            ) from error

    def open(self) -> Image:
        """The decoded image as RGB, turned upright by its EXIF orientation (the first frame).

        Raises:
            ProbeError: missing, not an image, truncated, of more than 8 bits a channel, or too
                large to decode safely.
        """
        import warnings

        from PIL import Image, ImageOps, UnidentifiedImageError

        data = self.read()
        try:
            with warnings.catch_warnings():
                # Remarks on odd metadata name no file and help nobody; but a decompression bomb
                # must not be decoded because the user looked away.
                warnings.simplefilter("ignore")
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                    if image.mode.startswith(("I", "F")):
                        # Pillow would clip these to 8 bits: a depth map would be shown as white.
                        raise self._broken(f"its pixels are not 8-bit (Pillow mode {image.mode})")
                    return ImageOps.exif_transpose(image).convert("RGB")
        except ProbeError:
            raise
        except UnidentifiedImageError as error:
            raise self._broken(f"it is not one of {', '.join(FORMATS)}") from error
        except Exception as error:
            # Pillow's decoders meet damaged files with OSError, ValueError, SyntaxError, EOFError,
            # struct.error, zlib.error ...: whatever it is, it is this file's fault and not ours.
            raise self._broken(str(error) or type(error).__name__) from error

    def _broken(self, reason: str) -> ProbeError:
        return ProbeError(
            f"image {self.name!r} cannot be decoded: {reason}. Replace the file or drop the probe."
        )

    def digest(self) -> str:
        """SHA-256 of the encoded bytes, hexadecimal."""
        return hashlib.sha256(self.read()).hexdigest()


@dataclass(frozen=True, slots=True)
class Probe:
    """One question about one image or several, with what is known about the right answer.

    Attributes:
        id: unique within a probe set.
        prompt: the question, without any chat markup: the model's own template adds it.
        image: what is shown, the first of several; None only for prepared probes.
        answer: a reference answer, if one is known.
        labels: free facts about the probe (kind of question, objects, ...), JSON-serialisable.
        cluster: the unit that statistics resample; probes on the same image share one.
        tensors: inputs as `generate()` takes them, for a model without processor (see `prepared`).
        more_images: images shown after the first, in order, before the prompt.

    Raises:
        ProbeError: more images, but no first one.

    Example:
        >>> probe = lvlm_audit.Probe("dog", "What is shown?", probes[0].image, cluster="dog")
        >>> probe.prompt
        'What is shown?'
    """

    id: str
    prompt: str
    image: ImageSource | None
    cluster: str
    answer: str | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, Any] | None = None
    more_images: tuple[ImageSource, ...] = ()

    def __post_init__(self) -> None:
        if self.more_images and self.image is None:
            raise ProbeError(
                f"probe {self.id!r}: more_images without image. Give the first as image."
            )

    @property
    def images(self) -> tuple[ImageSource, ...]:
        """Everything that is shown, in order."""
        return () if self.image is None else (self.image, *self.more_images)

    def showing(self, images: Sequence[ImageSource]) -> Probe:
        """The same question about other images; without any, it is asked blind."""
        return replace(self, image=images[0] if images else None, more_images=tuple(images[1:]))

    @classmethod
    def prepared(
        cls,
        tensors: Mapping[str, Any],
        *,
        id: str = "prepared",
        cluster: str | None = None,
        prompt: str = "",
        answer: str | None = None,
    ) -> Probe:
        """A probe from tensors as `generate()` takes them: `input_ids` [1, n], `pixel_values` ...

        A model that takes no prompt has `decoder_input_ids` instead: what its answer starts from.

        Raises:
            ProbeError: these are missing or not of shape [1, n].
        """
        ids = tensors.get("input_ids", tensors.get("decoder_input_ids"))
        shape = tuple(getattr(ids, "shape", ()))
        if len(shape) != 2 or shape[0] != 1 or shape[1] < 1:
            raise ProbeError(
                f"prepared probe {id!r}: input_ids must have shape [1, n], not {shape or ids!r}. "
                f"Pass one probe's tensors as generate() takes them."
            )
        return cls(
            id=id,
            prompt=prompt,
            image=None,
            cluster=cluster if cluster is not None else id,
            answer=answer,
            tensors=dict(tensors),
        )


class Probes(list[Probe]):
    """A probe set that was read: a list of probes, and what reading left out.

    Attributes:
        notes: what of the source is not asked, or asked otherwise than it stands there.
    """

    def __init__(self, probes: Iterable[Probe] = (), notes: Iterable[Note] = ()) -> None:
        super().__init__(probes)
        self.notes: tuple[Note, ...] = tuple(notes)
