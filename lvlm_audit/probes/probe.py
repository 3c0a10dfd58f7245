"""Probe: one question about one image. Light: Pillow is imported only when an image is opened."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from lvlm_audit.errors import ProbeError
from lvlm_audit.notes import Note
from lvlm_audit.probes import decoding
from lvlm_audit.probes.bounded import read_regular
from lvlm_audit.probes.decoding import Background

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_IMAGE_BYTES = 1 << 29
"""Of an encoded image. Four bytes for each pixel that Pillow decodes without a warning are fewer."""

Role = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True, slots=True)
class ImageSource:
    """An encoded image, kept as a path or as bytes so that a thousand probes cost no memory.

    Attributes:
        name: what messages call it: the file's name or a description.
        path: the file, or None when `data` holds the encoded bytes.
        data: the encoded bytes (PNG, JPEG ...), or None when `path` is set.
        background: what transparent parts are laid on: "white", or None to drop the transparency as
            transformers' loader does.
    """

    name: str
    path: Path | None = None
    data: bytes | None = field(default=None, repr=False)
    background: Background | None = None

    def read(self) -> bytes:
        """The encoded bytes.

        Raises:
            ProbeError: the file is missing, no regular file, too large, or cannot be read.
        """
        if self.data is not None:
            return self.data
        assert self.path is not None
        try:
            return read_regular(self.path, MAX_IMAGE_BYTES)
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
        data = self.read()
        try:
            return decoding.decode(data, self.background)
        except decoding.Undecodable as error:
            raise ProbeError(
                f"image {self.name!r} cannot be decoded: {error}. Replace the file or drop the probe."
            ) from error

    def digest(self) -> str:
        """SHA-256 of the encoded bytes, hexadecimal."""
        return hashlib.sha256(self.read()).hexdigest()


@dataclass(frozen=True, slots=True)
class Turn:
    """Something that was said before the prompt.

    Attributes:
        role: "system", "user" or "assistant".
        text: what was said, without chat markup.
        images: how many of the probe's images, in order, this turn shows before its text.

    Raises:
        ProbeError: another role, or images that are not shown by a user.
    """

    role: Role
    text: str
    images: int = 0

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ProbeError(f"a turn's role is one of {', '.join(ROLES)}, not {self.role!r}.")
        if self.images < 0 or (self.images and self.role != "user"):
            raise ProbeError(
                f"a turn of the {self.role} cannot show {self.images} images: only a user's turn shows some."
            )


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
        turns: what was said before the prompt: a system turn, earlier questions and answers.

    Raises:
        ProbeError: more images, but no first one; or turns that show more images than there are.

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
    turns: tuple[Turn, ...] = ()

    def __post_init__(self) -> None:
        if self.more_images and self.image is None:
            raise ProbeError(
                f"probe {self.id!r}: more_images without image. Give the first as image."
            )
        earlier = sum(turn.images for turn in self.turns)
        if earlier > len(self.images):
            raise ProbeError(
                f"probe {self.id!r}: its turns show {earlier} images, but it has {len(self.images)}."
            )

    @property
    def images(self) -> tuple[ImageSource, ...]:
        """Everything that is shown, in order."""
        return () if self.image is None else (self.image, *self.more_images)

    @property
    def transcript(self) -> str:
        """All that is said to the model: the prompt, behind the earlier turns where there are any."""
        if not self.turns:
            return self.prompt
        said = [f"[{turn.role}] {turn.text}" for turn in self.turns]
        return "\n".join([*said, f"[user] {self.prompt}"])

    def showing(self, images: Sequence[ImageSource]) -> Probe:
        """The same question about other images; without any, it is asked blind."""
        return replace(
            self,
            image=images[0] if images else None,
            more_images=tuple(images[1:]),
            turns=_within(self.turns, len(images)),
        )

    def asking(self, prompt: str, turns: Sequence[Turn] = ()) -> Probe:
        """Another question, with the turns before it, about the same images."""
        return replace(self, prompt=prompt, turns=_within(tuple(turns), len(self.images)))

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


def _within(turns: tuple[Turn, ...], images: int) -> tuple[Turn, ...]:
    """Turns that show no more images than there are; what is left over stands before the prompt."""
    fitting = []
    for turn in turns:
        shown = min(turn.images, images)
        images -= shown
        fitting.append(turn if shown == turn.images else replace(turn, images=shown))
    return tuple(fitting)


class Probes(list[Probe]):
    """A probe set that was read: a list of probes, and what reading left out.

    Attributes:
        notes: what of the source is not asked, or asked otherwise than it stands there.
    """

    def __init__(self, probes: Iterable[Probe] = (), notes: Iterable[Note] = ()) -> None:
        super().__init__(probes)
        self.notes: tuple[Note, ...] = tuple(notes)
