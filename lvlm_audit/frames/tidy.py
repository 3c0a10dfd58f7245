"""Long tables out of curves: one row a value, with the names of what it is a value of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lvlm_audit.optional import needed

EXTRA = "frames"

COLUMNS = ("probe", "token", "state", "metric", "value", "unit")
"""Columns that every frame of tokens begins with."""


def frame(columns: Mapping[str, Sequence[Any]], by: str) -> Any:
    """A DataFrame of columns of one length.

    Raises:
        UsageError: pandas is not installed.
    """
    pandas = needed("pandas", by=by, extra=EXTRA)
    return pandas.DataFrame({name: [_text(v) for v in values] for name, values in columns.items()})


def _text(value: Any) -> Any:
    """Text that can be written: half a character, which a byte-level vocabulary may hold, is spelled out."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(slots=True)
class Rows:
    """Collects the values of tokens' curves; a column is one array at the end.

    Attributes:
        more: names of further columns, whose values are those of the token.
    """

    more: tuple[str, ...]
    _values: list[np.ndarray[Any, Any]] = field(default_factory=list)
    _states: list[np.ndarray[Any, Any]] = field(default_factory=list)
    _known: list[np.ndarray[Any, Any]] = field(default_factory=list)
    _counts: list[int] = field(default_factory=list)
    _names: list[tuple[Any, ...]] = field(default_factory=list)

    def add(
        self,
        probe: str,
        token: int,
        metric: str,
        unit: str,
        values: Iterable[float | None],
        *,
        first: int | None,
        more: tuple[Any, ...],
    ) -> None:
        """One curve of one token; a value that is missing makes no row.

        Args:
            probe: id.
            token: place in the answer, from 0.
            metric: name.
            unit: of the values.
            values: one a state.
            first: state of the first value; None: the values belong to no state.
            more: the token's values of the further columns.
        """
        array = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
        states = np.zeros(len(array), np.int64) if first is None else first + np.arange(len(array))
        kept = ~np.isnan(array)
        self._values.append(array[kept])
        self._states.append(states[kept])
        self._known.append(np.full(int(kept.sum()), first is not None))
        self._counts.append(int(kept.sum()))
        self._names.append((probe, token, metric, unit, *more))

    def frame(self, by: str) -> Any:
        """All rows, as a DataFrame.

        Raises:
            UsageError: pandas is not installed.
        """
        pandas = needed("pandas", by=by, extra=EXTRA)
        named = ("probe", "token", "metric", "unit", *self.more)
        counts = np.array(self._counts, np.int64)
        columns: dict[str, Any] = {}
        for place, name in enumerate(named):
            each = np.empty(len(self._names), dtype=object)
            each[:] = [_text(names[place]) for names in self._names]
            repeated = pandas.Series(np.repeat(each, counts)).infer_objects()
            columns[name] = repeated.astype("int64") if name == "token" else repeated
        states = np.concatenate([np.zeros(0, np.int64), *self._states])
        known = np.concatenate([np.zeros(0, bool), *self._known])
        # Nullable: a node is a state, and lies at none.
        columns["state"] = pandas.arrays.IntegerArray(states, ~known)
        columns["value"] = np.concatenate([np.zeros(0), *self._values])
        return pandas.DataFrame({name: columns[name] for name in (*COLUMNS, *self.more)})
