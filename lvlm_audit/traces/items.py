"""What a store can hold: dataclasses of arrays and plain values. How each is kept follows from its annotations.

Fields that are arrays (`npt.NDArray[...]`, or that or None) are kept as arrays, all others as JSON. A new kind
of recording marks the class of its items with `@stored`, and the store needs no change.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache
from typing import Any, Protocol, TypeVar

import numpy as np

if typing.TYPE_CHECKING:
    from lvlm_audit.traces.trace import Asked


class Item(Protocol):
    """One thing that was recorded."""

    @property
    def asked(self) -> Asked:
        """The probe that it is about."""


T = TypeVar("T")

ITEMS: dict[str, type[Any]] = {}
"""Every class that a store can hold, by its name, which recordings name it by."""


def stored(cls: type[T]) -> type[T]:
    """Make a dataclass known to the store.

    Raises:
        TypeError: it is no dataclass, or another class has its name.
    """
    declared: Any = cls
    if not dataclasses.is_dataclass(declared):
        raise TypeError(f"{cls.__name__} is no dataclass")
    known = ITEMS.setdefault(cls.__name__, cls)
    if known is not cls:
        raise TypeError(f"{cls.__name__} is the name of {known.__module__}.{known.__name__} too")
    return cls


@cache
def hints(cls: Any) -> dict[str, Any]:
    """The declared types of its fields, in order."""
    found = typing.get_type_hints(cls)
    return {f.name: found[f.name] for f in dataclasses.fields(cls)}


@cache
def array_fields(cls: Any) -> tuple[str, ...]:
    """Names of the fields that are arrays, in the order in which they are declared."""
    return tuple(
        name
        for name, kind in hints(cls).items()
        if any(typing.get_origin(k) is np.ndarray for k in _options(kind))
    )


def arrays(item: Any) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """The arrays that there are, by field."""
    cls: Any = type(item)
    for name in array_fields(cls):
        value = getattr(item, name)
        if value is not None:
            yield name, np.ascontiguousarray(value)


def entry(item: Any) -> dict[str, Any]:
    """All else, as JSON takes it: the name of the class as "kind", then its fields."""
    cls: Any = type(item)
    kept = [name for name in hints(cls) if name not in array_fields(cls)]
    return {"kind": cls.__name__, **{name: _plain(getattr(item, name)) for name in kept}}


def item_of(found: Mapping[str, Any], of: Mapping[str, np.ndarray[Any, Any]]) -> Any:
    """The item that `entry` and `arrays` came from.

    Raises:
        KeyError: no class of that name is known.
        TypeError: fields are missing, or there are others.
        ValueError: a value is none of its type.
    """
    cls: Any = ITEMS[found["kind"]]
    known = hints(cls)
    rest = {
        name: _typed(known.get(name, Any), value) for name, value in found.items() if name != "kind"
    }
    return cls(**rest, **of)


def _options(kind: Any) -> tuple[Any, ...]:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return tuple(k for k in typing.get_args(kind) if k is not type(None))
    return (kind,)


def _plain(value: Any) -> Any:
    """JSON knows tuples as lists, and keys as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return dict(value) if isinstance(value, Mapping) else value


def _typed(kind: Any, value: Any) -> Any:
    """What JSON made of a value, as its declared type."""
    (kind, *others) = _options(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if value is None or others:
        return value
    if origin is tuple:
        each = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_typed(k, v) for k, v in zip(each, value, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        key, content = arguments
        return {
            (int(k) if key is int else _typed(key, k)): _typed(content, v) for k, v in value.items()
        }
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if dataclasses.is_dataclass(kind):
        made: Any = kind
        known = hints(made)
        return made(**{n: _typed(known.get(n, Any), v) for n, v in value.items()})
    return value
