"""JSON that a person or a program wrote: read strictly, and refused with its place."""

from __future__ import annotations

import codecs
import json
import math
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NoReturn

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.bounded import size
from lvlm_audit.probes.problems import Problems
from lvlm_audit.probes.quoting import described, short
from lvlm_audit.probes.source import Source

EXAMPLE = '{"image": "photo.jpg", "prompt": "What is this?"}'
"""A line of a probe file."""

MAX_FILE = 2 << 30
"""Bytes of a probe file."""
MAX_VALUE = 256 << 20
"""Bytes of one line, or of a file that is one JSON value: with the images that may be written into it."""
MAX_DEPTH = 64
"""Lists and objects in one another. What reads the values later goes through them recursively."""

_ONE_OBJECT = f"Each line must be one whole JSON object, such as {EXAMPLE}."


def records(
    source: Source, problems: Problems | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file with one JSON object a line, or of a file that is one JSON array.

    Args:
        source: the file.
        problems: gathers lines and entries that are no such object, and reading goes on; None: the first
            one is raised.

    Yields:
        A place for messages (line from 1, or index from 0), and the object there.

    Raises:
        ProbeError: the file cannot be read, is not UTF-8 or no such JSON, or holds nothing.
    """
    empty = True
    for place, value in _array(source) if begins_with(source, b"[") else _objects(source):
        empty = False
        try:
            record = as_object(place, value())
        except ProbeError as error:
            if problems is None:
                raise
            problems.add(place, error)
            continue
        yield place, record
    if empty:
        raise ProbeError(
            f"{source.where} holds no probes: the file is empty. Write one JSON object a line, such as "
            f"{EXAMPLE}."
        )


def begins_with(source: Source, *marks: bytes) -> bool:
    """Whether the first byte of a file that is no white space is one of these."""
    for _, line in _raw_lines(source):
        if line.strip():
            return line.lstrip().startswith(marks)
    return False


def first_object(source: Source) -> dict[str, Any] | None:
    """The first object of a file, as `records` reads it, or the one that it is; None if there is none.

    For telling what format a file has: what is wrong with it is its reader's to say.
    """
    try:
        return next(records(source))[1]
    except ProbeError:
        pass
    try:
        whole = document(source)
    except ProbeError:
        return None
    return whole if isinstance(whole, dict) else None


def document(source: Source) -> Any:
    """A file that is one JSON value.

    Raises:
        ProbeError: it cannot be read, is not UTF-8 or no JSON; names line and column.
    """
    lines: list[str] = []
    read = 0
    for _, line in _lines(source):
        read += len(line)
        _bounded(source.where, read, MAX_VALUE)
        lines.append(line)
    return _parse(source.where, "".join(lines), of_file=True)


def _objects(source: Source) -> Iterator[tuple[str, Callable[[], Any]]]:
    for number, text in _lines(source):
        if text.strip():
            place = f"{source.where}, line {number}"
            yield place, partial(_parse, place, text.rstrip("\r\n"))


def _array(source: Source) -> Iterator[tuple[str, Callable[[], Any]]]:
    for index, value in enumerate(document(source)):
        yield f"{source.where}, entry {index}", partial(lambda one: one, value)


def _lines(source: Source) -> Iterator[tuple[int, str]]:
    for number, raw in _raw_lines(source):
        try:
            yield number, raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ProbeError(
                f"{source.where}, line {number}: not UTF-8 (byte 0x{raw[error.start]:02x} at byte "
                f"{error.start + 1} of the line). Save the file as UTF-8."
            ) from error


def _raw_lines(source: Source) -> Iterator[tuple[int, bytes]]:
    try:
        with source.path.open("rb") as file:
            _bounded(source.where, os.fstat(file.fileno()).st_size, MAX_FILE)
            number = 0
            while line := file.readline(MAX_VALUE + 1):
                number += 1
                _bounded(f"{source.where}, line {number}", len(line), MAX_VALUE)
                yield number, line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
    except OSError as error:
        raise ProbeError(
            f"cannot read {source.where}: {error.strerror or error}. Check its permissions."
        ) from error


def _bounded(where: str, found: int, most: int) -> None:
    if found > most:
        raise ProbeError(
            f"{where}: too long: more than {size(most)}. Write one JSON object a line, into several files if "
            f"need be, and keep images in files of their own."
        )


def _parse(where: str, text: str, *, of_file: bool = False) -> Any:
    try:
        value = json.loads(
            text,
            object_pairs_hook=lambda pairs: _object(where, pairs),
            parse_constant=lambda name: _no_constant(where, name),
            parse_float=lambda digits: _finite(where, digits),
            parse_int=lambda digits: _integer(where, digits),
        )
        _check_depth(where, value)
        # JSON can spell half a surrogate pair, which no file or terminal can be given.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        line = f", line {error.lineno}" if of_file else ""
        whole = "The file must be one JSON value." if of_file else _ONE_OBJECT
        raise ProbeError(
            f"{where}{line}, column {error.colno}: not valid JSON: {error.msg}. {whole}"
        ) from error
    except UnicodeEncodeError as error:
        raise ProbeError(
            f"{where}: {error.object[error.start]!r} is half a surrogate pair and no character. "
            f"Write the character itself, or both halves."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ProbeError(
            f"{where}: cannot be read as JSON: {error}. Shorten or flatten the line."
        ) from error
    return value


def as_object(where: str, value: Any) -> dict[str, Any]:
    """A JSON value that must be an object.

    Raises:
        ProbeError: it is another.
    """
    if not isinstance(value, dict):
        raise ProbeError(
            f"{where}: must be a JSON object, not {described(value)}. Write it as {EXAMPLE}."
        )
    return value


def _object(where: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Python keeps the last of two equal keys and says nothing.
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ProbeError(f"{where}: the key {short(key)} occurs twice. Drop one of them.")
        result[key] = value
    return result


def _finite(where: str, digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ProbeError(f"{where}: the number {short(digits)} is too large. Write it as text.")
    return value


def _integer(where: str, digits: str) -> int:
    value = int(digits)
    try:
        float(value)
    except OverflowError as error:
        # Whatever prints or compares it later would fail.
        raise ProbeError(
            f"{where}: the number {short(digits)} is too large. Write it as text."
        ) from error
    return value


def _check_depth(where: str, value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, list | dict)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    if any(isinstance(one, list | dict) for one in level):
        raise ProbeError(
            f"{where}: cannot be read as JSON: lists and objects are nested more than {MAX_DEPTH} deep. "
            f"Flatten it."
        )


def _no_constant(where: str, name: str) -> NoReturn:
    raise ProbeError(f"{where}: {name} is not JSON. Write a number, text or null.")
