"""A repr that fits a line, for records that hold arrays or long lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from lvlm_audit.visible import clip, visible

LIMIT = 200
"""Characters."""

_VALUE = 48
"""Characters of one field."""


class ShortRepr:
    """Base of dataclasses (declared with `repr=False`) whose fields are named, counted and cut."""

    __slots__ = ()

    def __repr__(self) -> str:
        facts = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        return short_repr(self, **facts)


def short_repr(thing: object, **facts: Any) -> str:
    """A record by its type and facts, in at most `LIMIT` characters."""
    text = f"{type(thing).__name__}(" + ", ".join(f"{k}={_brief(v)}" for k, v in facts.items())
    return f"{text})" if len(text) < LIMIT else f"{text[: LIMIT - 2]}…)"


def _brief(value: Any) -> str:
    """One field: an array by type and shape, what has an id by it, a collection by its size."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, Mapping) or (isinstance(value, Sequence) and not isinstance(value, str)):
        return f"{len(value):,} item{'' if len(value) == 1 else 's'}"
    text = value if isinstance(value, str) else getattr(value, "id", value)
    # Cut before repr, which would spell out a whole book.
    return clip(visible(repr(clip(text, _VALUE) if isinstance(text, str) else text)), _VALUE)
