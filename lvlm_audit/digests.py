"""Digests: SHA-256 of files, remembered for as long as nothing about a file has changed.

Small files are read whole each time. Of a large one the digest is taken out of memory when size, times
(of content and of inode), inode and a sample of the content are what they were: so a second look at a
14 GB checkpoint costs a moment. The sample alone cannot see a change that touches none of its blocks. The
inode's time can: a file system sets it at every write, to its own clock, and no program can set it back, as it
can the time of the content (`touch`, `tar`, `rsync -t`). A digest that was taken within two seconds of the
last change is not trusted, because clocks of file systems are coarse. What is left is a clock that was turned
back, or a file system without inode times, together with a change between the sampled blocks.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

SMALL = 32 << 20
"""Bytes up to which a file is read whole at every look."""

_BLOCK = 4096
_MOST_BLOCKS = 1024
_PLAIN_BLOCKS = 64
_LONGEST_HEADER = 100_000_000
_COARSE_NS = 2_000_000_000
"""The coarsest clock of a file system that is in use (FAT)."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What was seen of a file when its digest was taken.

    Attributes:
        size: in bytes.
        written: time of the content's last change.
        changed: time of the inode's last change.
        inode: its number.
        began: wall clock when reading began.
        sample: digest of the sampled blocks.
        sha256: of the whole content.
    """

    size: int
    written: int
    changed: int
    inode: int
    began: int
    sample: str
    sha256: str


class Digests:
    """Digests of files, with a memory in a file. Losing it only costs time.

    Args:
        memory: where they are remembered; it need not exist, nor be writable.
    """

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known = self._load()
        self._new: dict[str, _Known] = {}

    def sha256(self, path: Path) -> str:
        """Of a file's content, hexadecimal.

        Raises:
            OSError: it cannot be read.
        """
        target = path.resolve()
        began = time.time_ns()
        with target.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_size <= SMALL:
                return hashlib.file_digest(file, "sha256").hexdigest()
            sample = _sample(file, status.st_size)
            seen = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            known = self._new.get(str(target)) or self._known.get(str(target))
            if known is not None and _same(known, seen, sample):
                return known.sha256
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._new[str(target)] = _Known(*seen, began=began, sample=sample, sha256=digest)
        return digest

    def remember(self) -> None:
        """Keeps what was learned, for the next time."""
        if not self._new:
            return
        # Another process may have added its own meanwhile.
        merged = {path: asdict(known) for path, known in {**self._load(), **self._new}.items()}
        try:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self._memory.parent, suffix=".tmp")
            try:
                with os.fdopen(handle, "w") as file:
                    json.dump(merged, file)
                os.replace(temporary, self._memory)
            except OSError:
                Path(temporary).unlink(missing_ok=True)
        except OSError:
            # A read-only cache is no reason not to audit.
            return

    def _load(self) -> dict[str, _Known]:
        try:
            loaded = json.loads(self._memory.read_text())
        except (OSError, ValueError, RecursionError):
            return {}
        entries = loaded.items() if isinstance(loaded, dict) else ()
        return {path: known for path, entry in entries if (known := _known(entry)) is not None}


def _known(entry: Any) -> _Known | None:
    try:
        known = _Known(**entry)
    except TypeError:
        return None
    numbers = (known.size, known.written, known.changed, known.inode, known.began)
    texts = (known.sample, known.sha256)
    typed = all(type(n) is int for n in numbers) and all(isinstance(t, str) for t in texts)
    return known if typed and len(known.sha256) == 64 else None


def _same(known: _Known, seen: tuple[int, int, int, int], sample: str) -> bool:
    was = (known.size, known.written, known.changed, known.inode)
    settled = max(known.written, known.changed) + _COARSE_NS <= known.began
    return was == seen and known.sample == sample and settled


def _sample(file: BinaryIO, size: int) -> str:
    """Digest of the header and a block of every tensor; of other files, of evenly spaced blocks."""
    total = hashlib.sha256()
    header = _header(file, size)
    total.update(header)
    for start in _starts(header, size):
        file.seek(start)
        total.update(file.read(_BLOCK))
    return total.hexdigest()


def _header(file: BinaryIO, size: int) -> bytes:
    """The header of a safetensors file with its length; a block of anything else."""
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    file.seek(0)
    return file.read(8 + length if 0 < length <= min(_LONGEST_HEADER, size) else _BLOCK)


def _starts(header: bytes, size: int) -> Iterator[int]:
    try:
        tensors = json.loads(header[8:])
        spans = [t["data_offsets"] for name, t in tensors.items() if name != "__metadata__"]
        middles = sorted(len(header) + (int(first) + int(last)) // 2 for first, last in spans)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        middles = []
    if not middles:
        middles = [size * i // _PLAIN_BLOCKS for i in range(_PLAIN_BLOCKS)]
    step = max(1, -(-len(middles) // _MOST_BLOCKS))
    yield from (start for start in middles[::step] if 0 <= start < size)
    yield max(0, size - _BLOCK)
