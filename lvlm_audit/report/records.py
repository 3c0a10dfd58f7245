"""A nested record, as a document holds it, as rows of names and values in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lvlm_audit.report.words import clip, number, prose


def flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """A nested record as rows of dotted names and values in words."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)) and any(isinstance(v, (dict, list)) for v in value):
        for place, inner in enumerate(value):
            yield from flat(inner, f"{name}[{place}]")
    else:
        yield clip(name, 120), prose(_plain(value), 600)


def _plain(value: Any) -> str:
    if value is None or value in ({}, []):
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value, 6)
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(v) for v in value)
    return str(value)


def rows(value: Any, most: int = 200) -> list[tuple[str, str]]:
    """The first rows of a record; none where there is nothing to show."""
    return [row for row, _ in zip(flat(value), range(most), strict=False)] if value else []
