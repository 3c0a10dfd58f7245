"""Where the characters of an answer are among its tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lvlm_audit.traces.trace import Asked, TokenClass


class Answer(Protocol):
    """What labels are made of: a trace, or no more than the words of an answer."""

    @property
    def asked(self) -> Asked:
        """The probe."""

    @property
    def tokens(self) -> int:
        """T."""

    @property
    def token_texts(self) -> tuple[str, ...]:
        """T pieces that join to the answer."""

    @property
    def token_classes(self) -> tuple[TokenClass, ...]:
        """T."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """An answer as a person reads it, without special tokens, and where its tokens begin and end.

    Attributes:
        text: the pieces joined; a special token has no characters.
        starts: [T] index of each token's first character.
        ends: [T] index after its last; equal to the start where a token has none.
        special: [T] end of sequence and other control tokens.
    """

    text: str
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    special: npt.NDArray[np.bool_]

    def tokens(self, start: int, end: int) -> slice:
        """The tokens that say the characters from `start` to before `end`.

        Those that overlap them. Tokens without text right before the first hold bytes of its first
        character (`Trace.token_texts`), and belong to it where the character is the word's.

        Returns:
            A slice of the answer's tokens; empty where no token says a character of it.
        """
        at = np.flatnonzero((self.starts < end) & (self.ends > start) & (self.ends > self.starts))
        if at.size == 0:
            return slice(0, 0)
        first = int(at[0])
        if self.starts[first] >= start:
            while (
                first
                and self.starts[first - 1] == self.ends[first - 1]
                and not (self.special[first - 1])
            ):
                first -= 1
        return slice(first, int(at[-1]) + 1)


def places(trace: Answer) -> Places:
    """The places of an answer's tokens."""
    special = np.array([c is TokenClass.SPECIAL for c in trace.token_classes], dtype=bool)
    pieces = [
        "" if control else piece for piece, control in zip(trace.token_texts, special, strict=True)
    ]
    ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
    lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
    return Places("".join(pieces), ends - lengths, ends, special)
