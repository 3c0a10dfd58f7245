"""Public names that are resolved on first use (PEP 562), so that importing a package costs nothing."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def public(
    package: str, homes: Mapping[str, str], elsewhere: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package; what was asked for once stays there.

    Args:
        package: its `__name__`.
        homes: "module:name" by public name, or "module" where a module itself is public.
        elsewhere: modules whose public names a person may have looked for here.
    """

    def resolve(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}{hint(name)}")
        module, _, original = homes[name].partition(":")
        value = importlib.import_module(module)
        if original:
            value = getattr(value, original)
        setattr(importlib.import_module(package), name, value)
        return value

    def hint(name: str) -> str:
        # Python itself asks for names such as __path__, and that must cost nothing.
        if name.startswith("_"):
            return ""
        for module in elsewhere:
            if name in getattr(importlib.import_module(module), "__all__", ()):
                return f"; it is {module}.{name}"
        return ""

    def names() -> list[str]:
        return sorted({*vars(importlib.import_module(package)), *homes})

    return resolve, names
