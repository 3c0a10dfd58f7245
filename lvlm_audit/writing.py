"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from lvlm_audit.errors import UsageError


def check_writable(path: Path) -> None:
    """Refuse a path that could not be written later, before hours are spent.

    Raises:
        UsageError: the folder does not exist or is not writable, or the path is a folder, a device
            or no possible name.
    """
    folder = path.parent
    try:
        taken = path.exists()
    except OSError as error:
        raise UsageError(f"cannot write {str(path)!r}: {error.strerror or error}.") from error
    if path.is_dir():
        raise UsageError(f"cannot write {str(path)!r}: it is a folder. Name a file in it.")
    if taken and not path.is_file():
        # A file is renamed into place, which would put it where /dev/null or a pipe was.
        raise UsageError(f"cannot write {str(path)!r}: it is not a regular file. Name one.")
    if not folder.is_dir():
        raise UsageError(
            f"cannot write {str(path)!r}: there is no folder {str(folder)!r}. Create it first."
        )
    if not os.access(folder, os.W_OK) or (taken and not os.access(path, os.W_OK)):
        raise UsageError(f"cannot write {str(path)!r}: permission denied. Choose another path.")


def check_new_folder(folder: Path) -> None:
    """Refuse a folder that holds something, before hours are spent.

    Raises:
        UsageError: it exists and is not empty, is no folder, or its parent is missing or not writable.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{str(folder)!r} exists and is not an empty folder. Nothing is overwritten: name another."
        )
    parent = folder.absolute().parent
    if not parent.is_dir():
        raise UsageError(
            f"cannot write {str(folder)!r}: there is no folder {str(parent)!r}. Create it first."
        )
    if not os.access(parent, os.W_OK):
        raise UsageError(f"cannot write {str(folder)!r}: permission denied. Choose another path.")


def write_whole(path: Path, text: str) -> None:
    """Write a text file atomically: a reader sees the old file or the new one, never a part.

    Raises:
        UsageError: the path cannot be written.
    """
    check_writable(path)
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        # mkstemp makes the file private; a report is meant to be read.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise UsageError(f"cannot write {str(path)!r}: {error.strerror or error}.") from error
    finally:
        # Whatever it was, an interrupt included, nothing half-written stays.
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
