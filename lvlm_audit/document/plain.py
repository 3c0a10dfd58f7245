"""Between typed values and plain JSON, by the declared types."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from enum import StrEnum
from typing import Any

from lvlm_audit.errors import DocumentError


def rounded(value: float | None, places: int = 4) -> float | None:
    """To `places` significant digits, None for what is not finite."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{places}g}")


def plain(value: Any) -> Any:
    """A value of declared types as what JSON knows."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, StrEnum):
        return str(value)
    return value


def build(kind: Any, value: Any, where: str) -> Any:
    """Build a value of a declared type from plain JSON, refusing what does not fit."""
    if kind is Any:
        return value
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        options = typing.get_args(kind)
        if value is None and type(None) in options:
            return None
        (only,) = [o for o in options if o is not type(None)]
        return build(only, value, where)
    if origin is list:
        if not isinstance(value, list):
            raise DocumentError(f"{where}: expected a list, found {type(value).__name__}.")
        (item,) = typing.get_args(kind)
        return [build(item, v, f"{where}[{i}]") for i, v in enumerate(value)]
    if origin is dict:
        if not isinstance(value, dict):
            raise DocumentError(f"{where}: expected an object, found {type(value).__name__}.")
        _, item = typing.get_args(kind)
        return {k: build(item, v, f"{where}.{k}") for k, v in value.items()}
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise DocumentError(f"{where}: expected an object, found {type(value).__name__}.")
        hints = typing.get_type_hints(kind)
        known = {f.name: f for f in dataclasses.fields(kind)}
        missing = [
            n
            for n, f in known.items()
            if n not in value
            and f.default is dataclasses.MISSING
            and f.default_factory is dataclasses.MISSING
        ]
        if missing or set(value) - set(known):
            raise DocumentError(
                f"{where}: missing fields {missing}, unknown fields {sorted(set(value) - set(known))}. "
                f"The document is damaged or not ours."
            )
        return typing.cast(Any, kind)(
            **{n: build(hints[n], value[n], f"{where}.{n}") for n in known if n in value}
        )
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        try:
            return kind(value)
        except ValueError as error:
            raise DocumentError(f"{where}: {error}.") from error
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # JSON can spell numbers beyond the largest float: they arrive as infinity.
    odd = isinstance(value, bool) if kind is int else kind is float and not _is_finite(value)
    if odd or not isinstance(value, kind):
        raise DocumentError(f"{where}: expected {kind.__name__}, found {value!r}.")
    return value


def _is_finite(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)
