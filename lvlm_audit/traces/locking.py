"""Locks between processes: who waits says so, and for whom."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

PATIENCE = 2.0
"""Seconds of silence before it is said what is waited for."""

_WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""What file systems without locks answer. Recordings appear whole or not at all, so that the worst is that
two processes make the same one."""


@contextlib.contextmanager
def locked(path: Path, told: Callable[[str], None]) -> Iterator[None]:
    """Holds a lock that other processes respect, as long as it takes to get it.

    Args:
        path: of the lock's file; its folder exists.
        told: called once with what is waited for, if it takes longer than two seconds.

    Raises:
        OSError: the file cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    holder = path.with_suffix(".holder")
    try:
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout:
            told(f"waiting for {_held_by(holder)}, which records the same (lock {path.name})")
            lock.acquire()
        _write(holder)
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _WITHOUT_LOCKS:
            raise
    try:
        yield
    finally:
        if lock.is_locked:
            holder.unlink(missing_ok=True)
            lock.release()


def _write(holder: Path) -> None:
    # Only for words: without it a waiting process knows no name.
    with contextlib.suppress(OSError):
        holder.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))


def _held_by(holder: Path) -> str:
    """The process that holds a lock, in words; a file of the cache is not trusted with words of its own."""
    try:
        said = json.loads(holder.read_text())
        pid, host = int(said["pid"]), str(said["host"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return "another process"
    known = re.fullmatch(r"[\w.-]{1,100}", host)
    where = "" if host == socket.gethostname() or known is None else f" on {host}"
    return f"process {pid}{where}"
