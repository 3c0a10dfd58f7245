"""The words of a text without regard to case, for telling whether two texts say the same."""

from __future__ import annotations

from collections.abc import Sequence


def wording(text: str, spans: Sequence[tuple[int, int]]) -> list[str]:
    """The text of each span, case folded."""
    return [text[start:end].casefold() for start, end in spans]
