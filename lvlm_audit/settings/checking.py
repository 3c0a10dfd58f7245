"""Checking what was given: every value in its declared form, or one message that names it."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lvlm_audit.errors import UsageError
from lvlm_audit.settings.declared import REQUIRED, Declared
from lvlm_audit.settings.spelling import spelled


def default(known: Mapping[str, Declared], name: str) -> Any:
    """The declared default of a dataclass's field."""
    declared = known[name].default
    return dataclasses.field() if declared is REQUIRED else declared


def checked(settings: Any, known: Mapping[str, Declared]) -> None:
    """Bring every value into its declared form; called when a dataclass of settings is made.

    Texts, as options and files give them, become what they stand for; aliases become what they mean.

    Raises:
        UsageError: a value that is not of its kind, too small, or none of the choices.
    """
    for name, declared in known.items():
        value = getattr(settings, name)
        if value is not None or declared.default is not None:
            object.__setattr__(settings, name, given(name, declared, value))


def nearest(word: str, known: Iterable[str]) -> str:
    """ " Did you mean 'x'?", or nothing where nothing is near."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def given(name: str, known: Declared, value: Any) -> Any:
    """One value in its declared form.

    Raises:
        UsageError: as `checked`.
    """
    read = _READERS[known.kind](name, value)
    if known.choices:
        read = known.aliases.get(read, read)
        if read not in known.choices and read not in (choices := _choices(known)):
            raise UsageError(
                f"{spelled(name)} {value!r} is not one of {', '.join(choices)}."
                f"{nearest(read, (*choices, *known.aliases))}"
            )
    if known.least is not None and read < known.least:
        raise UsageError(f"{spelled(name)} {value} {known.too_small}; give {known.least} or more.")
    return read


def resolved(name: str, known: Declared, value: Any, here: Path) -> Any:
    """A value as it was typed; paths in it that are relative are relative to a folder.

    Raises:
        UsageError: as `checked`.
    """
    if value and known.kind == "path":
        return here / Path(value).expanduser()
    if value and known.kind == "files":
        return tuple((form, here / path) for form, path in given(name, known, value))
    return value


def _choices(known: Declared) -> tuple[str, ...]:
    """Ours, and what others registered."""
    if not known.registry:
        return known.choices
    module, _, name = known.registry.partition(":")
    registered = getattr(importlib.import_module(module), name).names()
    return tuple(dict.fromkeys((*known.choices, *registered)))


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{spelled(name)} {value!r} is not text.")
    return value


def _path(name: str, value: Any) -> Path:
    if isinstance(value, str) and not value:
        raise UsageError(f"{spelled(name)} is empty. Give a path, or leave it out.")
    if not isinstance(value, (str, Path)):
        raise UsageError(f"{spelled(name)} {value!r} is not a path.")
    return Path(value).expanduser()


def _whole(name: str, value: Any) -> int:
    try:
        if isinstance(value, (str, int)) and not isinstance(value, bool):
            return int(value)
    except ValueError:
        pass
    raise UsageError(f"{spelled(name)} {value!r} is not a whole number.")


def _number(name: str, value: Any) -> float:
    try:
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            read = float(value)
            if math.isfinite(read):
                return read
    except (ValueError, OverflowError):
        pass
    raise UsageError(f"{spelled(name)} {value!r} is not a finite number.")


def _files(name: str, value: Any) -> tuple[tuple[str, Path], ...]:
    """From "FORMAT=FILE", several of them, or pairs."""
    if isinstance(value, Mapping):
        value = tuple(value.items())
    found = []
    for one in (value,) if isinstance(value, str) or not isinstance(value, Iterable) else value:
        pair = tuple(one.split("=", 1)) if isinstance(one, str) else one
        fits = isinstance(pair, tuple) and len(pair) == 2
        if not fits or not isinstance(pair[0], str) or not pair[0].strip() or not pair[1]:
            raise UsageError(
                f"{spelled(name)} {one!r} is not FORMAT=FILE, such as html=report.html."
            )
        found.append((pair[0].strip(), _path(name, pair[1])))
    return tuple(found)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{spelled(name)} {value!r} is neither on nor off.")
    return value


_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "text": _text,
    "path": _path,
    "whole": _whole,
    "number": _number,
    "files": _files,
    "flag": _flag,
}
