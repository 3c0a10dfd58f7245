"""One registry for everything that a third party can add: lenses, signals, probe formats, writers."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from lvlm_audit.errors import LvlmAuditError

_OURS = Path(__file__).parent


class Named(Protocol):
    """Has the name that it is asked for by."""

    @property
    def name(self) -> str:
        """Unique in its registry."""


T = TypeVar("T", bound=Named)


@dataclass(frozen=True, slots=True, eq=False)
class _Origin:
    """The line that registers, and the run of its file."""

    line: tuple[str, int]
    run: dict[str, Any]

    @classmethod
    def of_caller(cls) -> _Origin:
        frame = sys._getframe(1)
        while frame.f_back is not None and _OURS in Path(frame.f_code.co_filename).parents:
            frame = frame.f_back
        return cls((frame.f_code.co_filename, frame.f_lineno), frame.f_globals)

    def again(self, earlier: _Origin | None) -> bool:
        """The same line in a later run of its file."""
        return earlier is not None and self.line == earlier.line and self.run is not earlier.run


class Registry(Generic[T]):
    """Things of one kind by name: those that ship, then what was registered or an installed package offers.

    Packages are loaded when a name is asked for that is not known yet, or when all are listed.

    Args:
        what: one of them in messages: "lens".
        kind: class or runtime protocol that each must be an instance of.
        group: entry point group under which packages offer theirs.
        error: class of the errors.
        ours: those that ship, in order.
    """

    def __init__(
        self, what: str, kind: Any, group: str, error: type[LvlmAuditError], ours: Iterable[T] = ()
    ) -> None:
        self.what, self.group = what, group
        self._kind, self._error = kind, error
        self._ours: dict[str, T] = {one.name: one for one in ours}
        self._others: dict[str, T] = {}
        self._origins: dict[str, _Origin] = {}
        self._loaded = False

    def register(self, item: T) -> T:
        """Adds one; registering the same again changes nothing.

        Check files are run more than once: what the same line registers then takes the older one's place.

        Raises:
            LvlmAuditError: it is none of the kind, or another one has that name.
        """
        self._check(item, "what is registered")
        known = self._ours.get(item.name, self._others.get(item.name))
        origin = _Origin.of_caller()
        if known is None or origin.again(self._origins.get(item.name)):
            self._others[item.name], self._origins[item.name] = item, origin
        elif known is not item and known != item:
            raise self._error(
                f"there is a {self.what} {item.name!r} already. Give yours another name, or unregister "
                f"the other one."
            )
        return item

    def unregister(self, name: str) -> None:
        """Forgets one that was registered; those that ship stay."""
        self._others.pop(name, None)
        self._origins.pop(name, None)

    def get(self, name: str) -> T:
        """The one of that name.

        Raises:
            LvlmAuditError: there is none, or a package that may offer it is broken.
        """
        if name not in self:
            raise self._error(f"{self.what} {self.unknown(name)}")
        return self._ours[name] if name in self._ours else self._others[name]

    def unknown(self, name: object) -> str:
        """What is wrong with a name that is not here: the names that are, and the nearest."""
        names = self.names()
        near = difflib.get_close_matches(str(name), names, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return f"{name!r} is not one of {', '.join(names)}.{hint}"

    def ships(self, name: str) -> bool:
        """Whether it is one of ours."""
        return name in self._ours

    def names(self) -> tuple[str, ...]:
        """Of all, those that ship first."""
        return tuple(one.name for one in self)

    def __contains__(self, name: object) -> bool:
        if name in self._ours or name in self._others:
            return True
        self._load()
        return name in self._others

    def __iter__(self) -> Iterator[T]:
        self._load()
        return iter([*self._ours.values(), *self._others.values()])

    def _load(self) -> None:
        if self._loaded:
            return
        for entry in sorted(entry_points(group=self.group), key=lambda entry: entry.name):
            self.register(self._offered(entry))
        self._loaded = True

    def _offered(self, entry: EntryPoint) -> T:
        where = f"{entry.name!r} ({entry.value}), which is installed under {self.group},"
        try:
            item: T = entry.load()
        except Exception as error:
            raise self._error(
                f"the {self.what} {where} cannot be loaded: {type(error).__name__}: {error}. Mend or "
                f"remove it."
            ) from error
        self._check(item, where)
        return item

    def _check(self, item: object, where: str) -> None:
        kind = self._kind.__name__
        # A class has all that its instances have, as far as a protocol can see.
        if isinstance(item, type) or not isinstance(item, self._kind):
            found = f"the class {item.__name__}" if isinstance(item, type) else type(item).__name__
            raise self._error(f"{where} is {found}, not a {kind}. Mend or remove it.")
        name = getattr(item, "name", None)
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise self._error(
                f"{where} is a {kind} whose name is {name!r}. Give it a name that can be typed."
            )
