"""Writing a file whole or not at all, and never in the place of what is no file."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import sys
import tempfile
import time
from pathlib import Path

from lvlm_audit.errors import UsageError
from lvlm_audit.waiting import said_after

_DESCRIPTORS = re.compile(r"/proc/(?:self|thread-self|\d+)(?:/task/\d+)?/fd|/dev/fd")
_MAX_LINKS = 40
"""As many as the system follows itself."""


def check_writable(path: Path) -> None:
    """Refuse a path that could not be written later, before hours are spent.

    Links are followed: what counts is what they lead to.

    Raises:
        UsageError: the folder does not exist or is not writable, or the path is a folder, a socket, a
            disk, a loop of links or no possible name.
    """
    target, found = _followed(path)
    if found is not None and stat.S_ISDIR(found.st_mode):
        raise UsageError(f"cannot write {_named(path, target)}: it is a folder. Name a file in it.")
    if found is not None and (stat.S_ISBLK(found.st_mode) or stat.S_ISSOCK(found.st_mode)):
        kind = "a disk" if stat.S_ISBLK(found.st_mode) else "a socket"
        raise UsageError(f"cannot write {_named(path, target)}: it is {kind}. Name a file.")
    if _is_stream(target, found):
        number = _descriptor(target)
        if not (os.access(target, os.W_OK) if number is None else _opened_to_write(number)):
            raise _denied(path, target, target)
        return
    folder = target.parent
    if not folder.is_dir():
        raise UsageError(
            f"cannot write {_named(path, target)}: there is no folder {str(folder)!r}. Create it first."
        )
    for needed in (folder, *([target] if found is not None else [])):
        if not os.access(needed, os.W_OK):
            raise _denied(path, target, needed)


def is_stream(path: Path) -> bool:
    """Whether what is written there runs away: a pipe, a terminal, standard output, `/dev/null`.

    Raises:
        UsageError: the path cannot be looked at.
    """
    return _is_stream(*_followed(path))


def same_place(one: Path, other: Path) -> bool:
    """Whether two paths that `check_writable` lets through name the same file, links followed."""
    (here, found), (there, known) = _followed(one), _followed(other)
    if found is not None and known is not None:
        return os.path.samestat(found, known)
    return os.path.realpath(here) == os.path.realpath(there)


def check_new_folder(folder: Path) -> None:
    """Refuse a folder that holds something, before hours are spent.

    Raises:
        UsageError: it exists and is not empty, is no folder, or its parent is missing or not writable.
    """
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
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

    Through a link the file that it leads to is written, and the link stays. An older file keeps its
    mode. What is no file (a pipe, a terminal, `/dev/null`) is written to and never replaced.

    Raises:
        UsageError: the path cannot be written.
    """
    check_writable(path)
    data = text.encode("utf-8")
    target, found = _followed(path)
    try:
        if _is_stream(target, found):
            _pour(target, found, data)
        else:
            _replace(target, found, data)
    except OSError as error:
        raise UsageError(
            f"cannot write {_named(path, target)}: {error.strerror or error}."
        ) from error


def _replace(target: Path, found: os.stat_result | None, data: bytes) -> None:
    temporary: str | None = None
    try:
        # Not named after the target: the longest name that a folder takes leaves no room for more.
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".lvlm_audit.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        # mkstemp makes the file private; a report is meant to be read.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask if found is None else found.st_mode & 0o777)
        os.replace(temporary, target)
        temporary = None
    finally:
        # Whatever it was, an interrupt included, nothing half-written stays.
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _pour(target: Path, found: os.stat_result | None, data: bytes) -> None:
    number = _descriptor(target)
    if number is not None:
        # The open descriptor itself: opened by name, a file behind it would be cut, and `>>` forgotten.
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        handle = os.dup(number)
    elif found is not None and stat.S_ISFIFO(found.st_mode):
        handle = _open_pipe(target)
    else:
        handle = os.open(target, os.O_WRONLY | os.O_NOCTTY)
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def _open_pipe(target: Path) -> int:
    """Opening a pipe waits for its reader: without a word, it would look like a hang."""
    with said_after(f"waiting until somebody reads the pipe {str(target)!r}"):
        while True:
            try:
                handle = os.open(target, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                time.sleep(0.05)
            else:
                os.set_blocking(handle, True)
                return handle


def _followed(path: Path) -> tuple[Path, os.stat_result | None]:
    """Where a path leads when its links are followed, and what is there; None: nothing yet.

    A link to an open descriptor is not followed further: the file behind it need not have a name.
    """
    target = path
    try:
        for _ in range(_MAX_LINKS):
            if _descriptor(target) is not None or not os.path.islink(target):
                break
            target = target.parent / os.readlink(target)
        number = _descriptor(target)
        return target, os.fstat(number) if number is not None else os.stat(target)
    except (FileNotFoundError, NotADirectoryError):
        return target, None
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else None
        raise UsageError(f"cannot write {str(path)!r}: {said or error}.") from error


def _descriptor(target: Path) -> int | None:
    """The number of our own open descriptor that a path names (`/proc/self/fd/1`), or None."""
    if not (target.name.isascii() and target.name.isdigit()):
        return None
    folder = os.path.realpath(target.parent)
    if not (_DESCRIPTORS.fullmatch(folder) or _DESCRIPTORS.fullmatch(str(target.parent))):
        return None
    own = folder.startswith((f"/proc/{os.getpid()}/", "/dev/fd"))
    return int(target.name) if own else None


def _opened_to_write(number: int) -> bool:
    return fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY


def _is_stream(target: Path, found: os.stat_result | None) -> bool:
    if found is None:
        return False
    piped = stat.S_ISFIFO(found.st_mode) or stat.S_ISCHR(found.st_mode)
    return piped or _descriptor(target) is not None


def _named(path: Path, target: Path) -> str:
    return repr(str(path)) + (f" (it leads to {str(target)!r})" if target != path else "")


def _denied(path: Path, target: Path, needed: Path) -> UsageError:
    where = "" if needed == path else f" for {str(needed)!r}"
    return UsageError(
        f"cannot write {_named(path, target)}: permission denied{where}. Choose another path."
    )
