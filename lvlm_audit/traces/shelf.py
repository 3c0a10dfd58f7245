"""The shelf: recordings in the cache, read with care. No torch.

Reading needs no lock and no leave to write, so that a read-only cache serves what it holds. What turns out
damaged is set aside, never deleted: it may be all that shows what went wrong.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lvlm_audit.cache import cannot_keep
from lvlm_audit.errors import DamagedRecording
from lvlm_audit.notes import Note
from lvlm_audit.traces import store
from lvlm_audit.traces.store import Recording

SET_ASIDE = "set-aside"
"""Folder on the shelf where damaged recordings are moved."""


class Shelf:
    """A folder of recordings.

    Args:
        folder: where they lie; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._set_aside: list[tuple[str, str]] = []

    def peek(
        self, place: Path, check: Callable[[Recording], None] | None = None
    ) -> Recording | None:
        """A whole recording; None where there is none, or a damaged one. Changes nothing.

        Args:
            place: of the recording.
            check: raises where the recording is not what is wanted of it.

        Raises:
            TraceError: a newer version wrote it, or it may not be read.
        """
        try:
            return _checked(place, check)
        except DamagedRecording:
            return None

    def take(
        self, place: Path, check: Callable[[Recording], None] | None = None
    ) -> Recording | None:
        """The same, under a lock: a damaged one is moved out of the way, so that it can be made again.

        Raises:
            TraceError: as `peek`.
            UsageError: it is damaged and cannot be moved.
        """
        try:
            return _checked(place, check)
        except DamagedRecording as error:
            reason = str(error)
        moved = self.folder / SET_ASIDE / place.name[:16]
        try:
            moved.parent.mkdir(parents=True, exist_ok=True)
            number = 1
            while os.path.lexists(target := moved.with_name(f"{moved.name}.{number}")):
                number += 1
            os.rename(place, target)
        except FileNotFoundError:
            # Another process has just discarded it, as unfinished recordings' parts are.
            return None
        except OSError as error:
            raise cannot_keep(f"{reason} What is recorded instead", error) from error
        self._set_aside.append((target.name, reason))
        return None

    @property
    def notes(self) -> tuple[Note, ...]:
        """What was set aside since the shelf was opened: one note, however much it was."""
        if not self._set_aside:
            return ()
        name, reason = self._set_aside[0]
        count = len(self._set_aside)
        what = "1 recording" if count == 1 else f"{count} recordings, the first"
        return (
            Note(
                "store",
                f"recorded anew: {what} set aside as {self.folder.name}/{SET_ASIDE}/{name} of the cache, "
                f"because {reason.partition(' Delete ')[0]}",
            ),
        )


def _checked(place: Path, check: Callable[[Recording], None] | None) -> Recording | None:
    if not os.path.isdir(place):
        return None
    recording = store.load(place)
    if check is not None:
        check(recording)
    return recording
