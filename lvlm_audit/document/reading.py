"""The text of a document's file: no more than a document can be, and nothing that never ends."""

from __future__ import annotations

import io
import os
import select
import stat
from pathlib import Path

from lvlm_audit.errors import DocumentError
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.waiting import said_after, say

MAX_BYTES = 4 * 2**30
"""About four times a document of 16,000 probes of ordinary answers."""
_LARGE = 50_000_000
"""Bytes that take seconds to read."""
_CHUNK = 2**20
_BLANK = b" \t\r\n"


def read_text(path: str | Path) -> str:
    """A file's text, or as much of it as shows that it is none of ours.

    Raises:
        DocumentError: it cannot be read, is a device or a folder, is too large, or is not UTF-8.
    """
    name = repr(str(path))
    try:
        kind = os.stat(path).st_mode
        if stat.S_ISCHR(kind) or stat.S_ISBLK(kind) or stat.S_ISSOCK(kind):
            raise DocumentError(f"cannot read {name}: it is a device, not a file. Name a document.")
        piped = stat.S_ISFIFO(kind)
        handle = os.open(path, os.O_RDONLY | (os.O_NONBLOCK if piped else 0))
        with os.fdopen(handle, "rb") as file:
            if piped:
                _await_writer(handle, name)
            data = _read(file, name)
        # Editors and shells of Windows write a byte order mark.
        return data.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else None
        raise DocumentError(f"cannot read {name}: {said or error}.") from error


def _read(file: io.BufferedReader, name: str) -> bytes:
    size = os.fstat(file.fileno()).st_size
    parts: list[bytes] = []
    total = 0
    while chunk := file.read(_CHUNK):
        total += len(chunk)
        if max(total, size) > MAX_BYTES:
            raise DocumentError(
                f"cannot read {name}: {max(total, size):,} bytes are more than any document has "
                f"({MAX_BYTES:,}). Name the file that {spelled('json')} wrote."
            )
        if total > _LARGE >= total - len(chunk):
            most = f" of {size / 1e6:,.0f} MB" if size > total else ""
            say(f"reading {name}{most}")
        parts.append(chunk)
        if len(parts) == 1 and not _begins(chunk):
            break
    return b"".join(parts)


def _begins(chunk: bytes) -> bool:
    """Whether a document can begin like this: what cannot is not read to its end."""
    return chunk.removeprefix(b"\xef\xbb\xbf").lstrip(_BLANK)[:1] in (b"{", b"")


def _await_writer(handle: int, name: str) -> None:
    """A pipe that nobody writes to is waited for; without a word, it would look like a hang."""
    waiting = select.poll()
    waiting.register(handle, select.POLLIN | select.POLLHUP)
    with said_after(f"waiting until somebody writes to the pipe {name}"):
        waiting.poll(None)
    os.set_blocking(handle, True)
