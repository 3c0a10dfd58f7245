"""What the two models are fed differently beside the probes: processor, template, tokenizer, generation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from lvlm_audit.document import FedDifference

_LONGEST = 120
"""Characters of a value that are shown."""
_NOTHING = "not set"
_MISSING = object()


def fed_differences(
    now: Mapping[str, Mapping[str, Any]], before: Mapping[str, Mapping[str, Any]]
) -> list[FedDifference]:
    """Every setting that differs, by value; nothing where one of the documents does not hold them."""
    if not now or not before:
        return []
    return [
        found
        for group in dict.fromkeys([*now, *before])
        for found in _of_group(group, now.get(group, {}), before.get(group, {}))
    ]


def _of_group(
    group: str, now: Mapping[str, Any], before: Mapping[str, Any]
) -> Iterator[FedDifference]:
    for key in dict.fromkeys([*now, *before]):
        here, there = now.get(key, _MISSING), before.get(key, _MISSING)
        if not _alike(here, there):
            # "chat template: chat_template" says nothing that "chat template" does not.
            what = group if key.replace("_", " ") == group else f"{group}: {key}"
            shown = _shown(here, there)
            yield FedDifference(what=what, here=shown[0], there=shown[1])


def _alike(here: Any, there: Any) -> bool:
    if here is _MISSING or there is _MISSING:
        return False
    # True == 1 in Python, but they are two settings.
    return bool(here == there) and isinstance(here, bool) == isinstance(there, bool)


def _shown(here: Any, there: Any) -> tuple[str, str]:
    one, other = _text(here), _text(there)
    if max(len(one), len(other)) <= _LONGEST and "\n" not in one + other:
        return one, other
    return _first_difference(one, other)


def _text(value: Any) -> str:
    if value is _MISSING:
        return _NOTHING
    if isinstance(value, str):
        return value if value else '""'
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _first_difference(one: str, other: str) -> tuple[str, str]:
    """The first line that differs, around the place where it does."""
    if _NOTHING in (one, other):
        return _beginning(one), _beginning(other)
    lines = zip_longest(one.split("\n"), other.split("\n"))
    for number, (left, right) in enumerate(lines, start=1):
        if left != right:
            start = max(0, _common(left or "", right or "") - _LONGEST // 3)
            return _line(number, left, start), _line(number, right, start)
    # The values differ where their texts do not: a number and the text of it.
    return _beginning(one), _beginning(other)


def _common(one: str, other: str) -> int:
    return next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )


def _line(number: int, line: str | None, start: int) -> str:
    if line is None:
        return f"line {number}: none"
    return f"line {number}: {'…' if start else ''}{_beginning(line[start:])}"


def _beginning(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
