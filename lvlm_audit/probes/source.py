"""Where probes are read from: a file or folder, what it is called in messages, and where its images are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lvlm_audit.notes import Note
from lvlm_audit.probes.remarks import Remarks


@dataclass(frozen=True, slots=True)
class Source:
    """What a reader is given.

    Attributes:
        path: the file or folder.
        prompt: one question for whatever has none of its own.
        images: the folder that image paths are relative to; None: the file's own.
        notes: what readers leave out, or use otherwise than it stands there; they add to it.
        remarks: the same of single records and files, which become one note a kind.
    """

    path: Path
    prompt: str | None = None
    images: Path | None = None
    notes: list[Note] = field(default_factory=list, compare=False)
    remarks: Remarks = field(default_factory=Remarks, compare=False)

    @property
    def where(self) -> str:
        """The path as messages have it."""
        return repr(str(self.path))

    @property
    def folder(self) -> Path:
        """What image paths are relative to. Absolute, so that they outlive the working directory."""
        return self.path.absolute().parent if self.images is None else self.images.absolute()

    @property
    def hint(self) -> str:
        """What to know about an image that is not there."""
        if self.images is not None:
            return f"Paths are relative to the image folder {str(self.images)!r}."
        return (
            "Paths are relative to the folder of the probe file. Name another with "
            "--lvlm-image-folder, or read_probes(..., images=...)."
        )
