"""Everything that is wrong with a probe file, in one message: nobody wants to mend a file line by line."""

from __future__ import annotations

from dataclasses import dataclass, field

from lvlm_audit.errors import ProbeError

_SHOWN = 6
_PLACES = 4


@dataclass(slots=True)
class Problems:
    """Errors of records, gathered; equal ones are told once, with all their places.

    Attributes:
        where: the file or folder, as a message names it.
    """

    where: str
    _places: dict[str, list[str]] = field(default_factory=dict)
    _first: ProbeError | None = None
    _count: int = 0

    def add(self, place: str, error: ProbeError) -> None:
        """An error of one record, whose message begins with its place."""
        self._count += 1
        self._first = self._first or error
        text = str(error).removeprefix(place).removeprefix(": ").removeprefix(", ")
        self._places.setdefault(text, []).append(place.removeprefix(f"{self.where}, "))

    def refuse(self) -> None:
        """Raises what was gathered, if anything was.

        Raises:
            ProbeError: the one error as it is; of several, all of them.
        """
        if self._first is None:
            return
        if self._count == 1:
            raise self._first
        texts = list(self._places.items())
        shown = " ".join(
            f"({number}) {_joined(places)}: {text}"
            for number, (text, places) in enumerate(texts[:_SHOWN], start=1)
        )
        left = sum(len(places) for _, places in texts[_SHOWN:])
        more = f" And {left} more." if left else ""
        raise ProbeError(f"{self.where} has {self._count} problems: {shown}{more}") from self._first


def _joined(places: list[str]) -> str:
    more = f" and {len(places) - _PLACES} more" if len(places) > _PLACES else ""
    return ", ".join(places[:_PLACES]) + more
