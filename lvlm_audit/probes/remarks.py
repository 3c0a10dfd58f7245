"""Remarks of readers: what each record or file is used otherwise for, gathered into one note a kind."""

from __future__ import annotations

from dataclasses import dataclass, field

from lvlm_audit.notes import About, Note
from lvlm_audit.probes.quoting import short

_NAMED = 3


@dataclass(slots=True)
class Remarks:
    """Counts what happened, and keeps the first few names; a name counts once."""

    _kinds: dict[tuple[About, str, str], dict[str, None]] = field(default_factory=dict)

    def add(self, about: About, text: str, noun: str, name: str) -> None:
        """Something that happened to one thing.

        Args:
            about: what the note concerns.
            text: what happened, without a full stop; equal texts make one note.
            noun: what is counted, in the singular ("image").
            name: which one it is; hostile text is quoted.
        """
        self._kinds.setdefault((about, text, noun), {}).setdefault(name)

    def notes(self) -> list[Note]:
        """One note a kind, in the order in which they came up.

        Example:
            >>> found = Remarks()
            >>> found.add("images", "only the first frame is shown", "image", "a.gif")
            >>> found.notes()[0].text
            "only the first frame is shown: 1 image: 'a.gif'"
        """
        return [
            Note(about, f"{text}: {_counted(len(names), noun, list(names))}")
            for (about, text, noun), names in self._kinds.items()
        ]


def _counted(count: int, noun: str, names: list[str]) -> str:
    shown = ", ".join(short(name) for name in names[:_NAMED])
    return f"{count} {noun}{'' if count == 1 else 's'}{', first' if count > 1 else ''}: {shown}"
