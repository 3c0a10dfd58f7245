"""Between typed values and plain JSON, by the declared types."""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from enum import StrEnum
from functools import cache
from typing import Any

from lvlm_audit.errors import DocumentError


def rounded(value: float | None, places: int = 4) -> float | None:
    """To `places` significant digits, None for what is not finite."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{places}g}")


_ATOMS = {float, int, str, bool, type(None)}


def plain(value: Any) -> Any:
    """A value of declared types as what JSON knows."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        # Curves are most of a document; copied as a whole they take no time.
        return list(value) if set(map(type, value)) <= _ATOMS else [plain(v) for v in value]
    if isinstance(value, StrEnum):
        return str(value)
    return value


MAX_NUMBER = 1e100
"""Nothing that an audit measures is larger, and arithmetic on what is would not stay finite."""
MAX_COUNT = 2**53
"""The largest whole number that every reader of JSON keeps exactly."""
MAX_DEPTH = 64
"""Levels of lists and objects, in the parts of a document that have no declared type."""
_SHOWN = 60
_INDEX = re.compile(r"\[\d+\]")


class Unknown:
    """Fields that a document has and that are not declared.

    Args:
        root: how places begin in messages.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.places: dict[str, None] = {}

    def add(self, where: str, names: list[str]) -> None:
        """Some of one object; of a list's items, one place stands for all."""
        place = _INDEX.sub("[]", where.removeprefix(self.root).removeprefix("."))
        start = f"{place}." if place else ""
        self.places.update(dict.fromkeys(start + name[:_SHOWN] for name in names))


def build(kind: Any, value: Any, where: str, unknown: Unknown | None = None) -> Any:
    """Build a value of a declared type from plain JSON, refusing what does not fit.

    Args:
        kind: declared type.
        value: plain JSON.
        where: its place, in messages.
        unknown: takes the fields that are not declared, which are left out; None: they are refused.

    Raises:
        DocumentError: a value of another type, or beyond what any document holds; it names the place.
    """
    if type(value) is kind and kind in (str, bool):
        return value
    if kind is Any:
        return _untyped(value, where)
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        options = typing.get_args(kind)
        if value is None and type(None) in options:
            return None
        (only,) = [o for o in options if o is not type(None)]
        return build(only, value, where, unknown)
    if origin is list:
        if not isinstance(value, list):
            raise _unlike(where, "a list", value)
        (item,) = typing.get_args(kind)
        # Nearly all of a document is curves: looked at as a whole, they are read many times as fast.
        if item is float and set(map(type, value)) <= {float} and _all_fit(value):
            return value
        if item is str and set(map(type, value)) <= {str}:
            return value
        return [build(item, v, f"{where}[{i}]", unknown) for i, v in enumerate(value)]
    if origin is dict:
        if not isinstance(value, dict):
            raise _unlike(where, "an object", value)
        _, item = typing.get_args(kind)
        return {k: build(item, v, f"{where}.{k[:_SHOWN]}", unknown) for k, v in value.items()}
    if origin is typing.Literal:
        if value in typing.get_args(kind) and isinstance(value, str):
            return value
        raise DocumentError(
            f"{where}: {_short(value)} is none of {', '.join(map(repr, typing.get_args(kind)))}."
        )
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _record(kind, value, where, unknown)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        try:
            return kind(value)
        except ValueError:
            raise DocumentError(
                f"{where}: {_short(value)} is not a valid {kind.__name__}."
            ) from None
    return _scalar(kind, value, where)


def named_field(name: Any) -> Any:
    """A name or value out of a document, no longer than can be shown."""
    return name[:_SHOWN] if isinstance(name, str) else _short(name) if _is_long(name) else name


def _is_long(value: Any) -> bool:
    return isinstance(value, (list, dict)) or (isinstance(value, int) and abs(value) > MAX_COUNT)


def _record(kind: type, value: Any, where: str, unknown: Unknown | None) -> Any:
    if not isinstance(value, dict):
        raise _unlike(where, "an object", value)
    declared, required = _fields(kind)
    missing = [n for n in required if n not in value]
    strange = sorted(set(value) - set(declared))
    if missing or (strange and unknown is None):
        more = f" and {len(strange) - 8} more" if len(strange) > 8 else ""
        raise DocumentError(
            f"{where}: missing fields {missing}, unknown fields {[n[:_SHOWN] for n in strange[:8]]}{more}. "
            f"The document is damaged or not ours."
        )
    if unknown is not None and strange:
        unknown.add(where, strange)
    return kind(
        **{
            n: build(declared[n], v, f"{where}.{n}", unknown)
            for n, v in value.items()
            if n in declared
        }
    )


@cache
def _fields(kind: type) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Declared types by field, and the fields that have no default."""
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)
    none = dataclasses.MISSING
    return (
        {f.name: hints[f.name] for f in fields},
        tuple(f.name for f in fields if f.default is none and f.default_factory is none),
    )


def _scalar(kind: Any, value: Any, where: str) -> Any:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole and kind in (int, float) and abs(value) > MAX_COUNT:
        raise DocumentError(
            f"{where}: {_short(value)} is larger than any number of an audit. The document is damaged or "
            f"not ours."
        )
    if kind is float and whole:
        return float(value)
    # JSON can spell numbers beyond the largest float: they arrive as infinity.
    odd = (
        isinstance(value, bool)
        if kind is int
        else kind is float and not (isinstance(value, float) and math.isfinite(value))
    )
    if odd or not isinstance(value, kind):
        raise _unlike(where, kind.__name__, value)
    if kind is float and abs(value) > MAX_NUMBER:
        raise DocumentError(
            f"{where}: {value!r} is larger than any number of an audit. The document is damaged or not ours."
        )
    return value


def _all_fit(values: list[float]) -> bool:
    # NaN, which JSON does not know, is refused where the text is read; infinity is not.
    return not values or (max(values) <= MAX_NUMBER and min(values) >= -MAX_NUMBER)


def _untyped(value: Any, where: str) -> Any:
    """What has no declared type is taken as it is, but not deeper or larger than can be shown."""
    left = [(value, 0)]
    while left:
        one, depth = left.pop()
        if depth > MAX_DEPTH:
            raise DocumentError(
                f"{where}: nested more than {MAX_DEPTH} levels deep. The document is damaged or not ours."
            )
        if isinstance(one, (dict, list)):
            left += [(v, depth + 1) for v in (one.values() if isinstance(one, dict) else one)]
        elif isinstance(one, (int, float)) and not abs(one) <= MAX_NUMBER:
            raise DocumentError(
                f"{where}: {_short(one)} is larger than any number of an audit. The document is damaged or "
                f"not ours."
            )
    return value


def _unlike(where: str, wanted: str, value: Any) -> DocumentError:
    found = type(value).__name__ if wanted in ("a list", "an object") else _short(value)
    return DocumentError(f"{where}: expected {wanted}, found {found}.")


def _short(value: Any) -> str:
    """A value in an error: as Python writes it, if that is short; a number's or text's beginning else."""
    if isinstance(value, (list, dict)):
        return f"{type(value).__name__} of {len(value)}"
    if isinstance(value, int) and abs(value) > MAX_COUNT:
        # As text, a number of thousands of digits would be refused by Python itself.
        return f"a whole number of about {round(value.bit_length() * math.log10(2))} digits"
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
