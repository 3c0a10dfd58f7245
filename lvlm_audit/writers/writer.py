"""What a writer is: from a document to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from lvlm_audit.document.saved import Saved
from lvlm_audit.waiting import said_after
from lvlm_audit.writing import check_writable, write_whole


@runtime_checkable
class Writer(Protocol):
    """Writes documents in one format."""

    @property
    def name(self) -> str:
        """The format, as `--lvlm-write NAME=FILE` chooses it."""

    @property
    def kinds(self) -> tuple[type[Saved], ...]:
        """Classes of the documents that it can write: `Audit`, `PruningPlan`, `Calibration`."""

    def check(self, path: Path) -> None:
        """Called before anything is recorded.

        Raises:
            LvlmAuditError: the path could not be written later.
        """

    def write(self, document: Any, path: Path) -> None:
        """Write a document of one of the kinds.

        Raises:
            LvlmAuditError: it cannot be written.
        """


class TextWriter:
    """Base of writers whose format is text: subclasses give `name`, `kinds` and `text`.

    The file appears whole or not at all.

    Example:
        >>> class Headline(lvlm_audit.writers.TextWriter):
        ...     name = "headline"
        ...     kinds = (lvlm_audit.Audit,)
        ...
        ...     def text(self, document):
        ...         return document.headline
        >>> Headline().write(audit, folder / "headline.txt")
        >>> (folder / "headline.txt").read_text()
        '1 of 1 deciding check passed, none failed.'
    """

    name: str
    kinds: tuple[type[Saved], ...]
    doing = "writing"
    """What takes long, in progress messages."""

    def text(self, document: Any) -> str:
        """The whole file's text."""
        raise NotImplementedError

    def check(self, path: Path) -> None:
        """Refuse a path that could not be written later.

        Raises:
            UsageError: it is a folder, or may not be written.
        """
        check_writable(path)

    def write(self, document: Any, path: Path) -> None:
        """Write the file.

        Raises:
            UsageError: the path cannot be written.
        """
        with said_after(f"{self.doing} {str(path)!r}"):
            write_whole(path, self.text(document))
