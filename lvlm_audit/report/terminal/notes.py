"""What was left out of the input, on the terminal: a line a note."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from lvlm_audit.notes import Note
from lvlm_audit.report.words import clip, visible


def line(note: Note) -> str:
    """A note as one line; it may quote files and checkpoints, and is hostile text."""
    return visible(clip(f"note: {note.about}: {note.text}", 400))


def show(notes: Iterable[Note], console: Console) -> None:
    """Print each note on a line of its own."""
    for note in notes:
        console.print(Text(line(note), style="yellow"), highlight=False)
