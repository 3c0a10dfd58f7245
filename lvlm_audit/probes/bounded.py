"""Reading a file that somebody named: a regular file of bounded size, or a refusal in words."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_MEBI = 1 << 20


def read_regular(path: Path, most: int) -> bytes:
    """The bytes of a regular file. A pipe, a device or a socket is never waited for.

    Args:
        path: the file; links are followed.
        most: bytes that it may have.

    Raises:
        OSError: it is not there or may not be read, is no regular file, or is larger. `strerror` says which.
    """
    try:
        # Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
        handle = os.open(
            path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        )
    except ValueError as error:
        raise OSError(0, str(error)) from error
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "it is not a regular file")
        if found.st_size > most:
            raise OSError(0, f"it has {size(found.st_size)}, and at most {size(most)} are read")
        data = file.read(most + 1)
    if len(data) > most:
        # /proc shows files of size 0 that have content, and a file may grow while it is read.
        raise OSError(0, f"it has more than {size(most)}")
    return data


def size(count: int) -> str:
    """A number of bytes as a person reads it."""
    if count < _MEBI:
        return f"{count} bytes"
    if count < 1024 * _MEBI:
        return f"{count / _MEBI:.0f} MiB"
    return f"{count / (1024 * _MEBI):.0f} GiB"
