"""How a setting is called where it was given: an option of pytest, of a command, or an argument in Python.

Messages name a setting by `spelled("batch_size")`. Whoever parsed it says how it is spelled there, so that no
message names an option that its reader does not have.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Value = str | bool | None

Spelling = Callable[[str, Value], str]
"""From a field, and a value if one is to be shown, to the words that set it."""

_PLAIN = re.compile(r"[\w./:=+-]+")


def in_python(name: str, value: Value = None) -> str:
    """As an argument: `batch_size`, `control='text-only'`, `compare_llm=True`."""
    return name if value is None else f"{name}={value!r}"


def for_pytest(name: str, value: Value = None) -> str:
    """As an option of pytest: `--lvlm-batch-size`, `--lvlm-control text-only`."""
    return _option(f"--lvlm-{name.replace('_', '-')}", value)


def for_command(has: Collection[str]) -> Spelling:
    """As an option of one of our commands; settings that it does not have are those of an audit.

    Args:
        has: the command's settings.
    """

    def spell(name: str, value: Value = None) -> str:
        if name not in has:
            return for_pytest(name, value)
        return _option("MODEL" if name == "model" else f"--{name.replace('_', '-')}", value)

    return spell


def spelled(name: str, value: Value = None) -> str:
    """A setting as the person who is being answered knows it.

    Args:
        name: the field.
        value: to be shown with it; of a flag True.

    Example:
        >>> spelled("control", "text-only")
        "control='text-only'"
        >>> with speaking(for_pytest):
        ...     spelled("control", "text-only")
        '--lvlm-control text-only'
    """
    return _current.get()(name, value)


@contextmanager
def speaking(spelling: Spelling) -> Iterator[None]:
    """Within it, messages spell settings so."""
    before = _current.set(spelling)
    try:
        yield
    finally:
        _current.reset(before)


def _option(flag: str, value: Value) -> str:
    if value is None or isinstance(value, bool):
        return flag
    return f"{flag} {value if _PLAIN.fullmatch(value) else repr(value)}"


_current: ContextVar[Spelling] = ContextVar("spelling", default=in_python)
