"""What of a person's input is not used, or used otherwise than it was given: said once, in every output.

The rule: whatever is left out of a model's files, of its processor, of a probe set or of an image is stated at
opening or reading, and travels with the recording to the terminal, the report and the document. What would
make a number wrong is no note but an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

About = Literal["model", "processor", "probes", "images", "store", "document"]

_NAMED = 3


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that was left out, or used otherwise.

    Attributes:
        about: what it concerns: "model", "processor", "probes", "images", "store"
            or "document" (one that was read).
        text: a sentence; it may quote files and checkpoints, so outputs treat it as hostile.

    Example:
        >>> Note("model", left_out("tensor", ["mtp.a", "mtp.b"])).text
        'left out: 2 tensors, first: mtp.a, mtp.b'
    """

    about: str
    text: str


def left_out(what: str, names: Sequence[str], why: str = "") -> str:
    """The usual sentence: how many things were left out, the first few by name, and why.

    Args:
        what: one of them, in the singular ("tensor", "file").
        names: of all of them; the first three are shown.
        why: the reason, without a full stop.

    Example:
        >>> left_out("file", ["a.txt"], "not an image")
        'left out: 1 file (not an image): a.txt'
        >>> left_out("file", ["a", "b", "c", "d"])
        'left out: 4 files, first: a, b, c'
    """
    count = len(names)
    counted = f"{count} {what}{'' if count == 1 else 's'}"
    reason = f" ({why})" if why else ""
    which = ", ".join(names[:_NAMED])
    return f"left out: {counted}{reason}{', first' if count > 1 else ''}: {which}"


def distinct(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Each note once, in the order in which they came up."""
    return tuple(dict.fromkeys(notes))
