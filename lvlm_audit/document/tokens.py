"""What a token is."""

from __future__ import annotations

from enum import StrEnum


class TokenClass(StrEnum):
    """What a generated token is, for deciding whether a finding may count it."""

    CONTENT = "content"
    FUNCTION = "function"
    COPIED = "copied"
    """A content word that also stands in the prompt."""
    PUNCTUATION = "punctuation"
    CONTINUATION = "continuation"
    """Not the first piece of its word."""
    SPECIAL = "special"
    """End of sequence, image and other control tokens."""
