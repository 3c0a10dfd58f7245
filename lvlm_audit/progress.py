"""Progress: what is being done, and how far it is. One event for every call that takes time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """A step, when it begins and each time that it has come further.

    Attributes:
        what: the step, in a few words.
        done: how much of it is done; 0 when it begins.
        total: how much there is; 0: it is not counted.
        unit: what is counted.
        tokens: recorded so far; 0 where tokens are not counted.

    Example:
        >>> str(Progress("recording answers", 3, 48))
        'recording answers (3 of 48 probes)'
    """

    what: str
    done: int = 0
    total: int = 0
    unit: str = "probes"
    tokens: int = 0

    def __str__(self) -> str:
        return f"{self.what} ({self.done} of {self.total} {self.unit})" if self.total else self.what


OnProgress = Callable[[Progress], None]
"""Called with each event."""


class Step:
    """Tells whoever listens that a step begins, and then how far it is.

    Args:
        listener: None: nobody listens.
        what: the step.
        total: how much there is.
        unit: what is counted.
    """

    def __init__(
        self, listener: OnProgress | None, what: str, total: int = 0, *, unit: str = "probes"
    ) -> None:
        self._listener = listener
        self._begun = Progress(what, 0, total, unit)
        self.reached(0)

    def reached(self, done: int, tokens: int = 0) -> None:
        """So much is done."""
        if self._listener is not None:
            self._listener(dataclasses.replace(self._begun, done=done, tokens=tokens))


def renamed(listener: OnProgress | None, name: Callable[[str], str]) -> OnProgress | None:
    """A listener that hears of steps under other names."""
    if listener is None:
        return None
    return lambda event: listener(dataclasses.replace(event, what=name(event.what)))
