"""Texts: token ids as words, for people to read and for the classes of tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.traces.trace import TokenClass


class Texts:
    """The words of one model's vocabulary; remembers what it has decoded.

    A model without tokenizer is written as `<id>`.
    """

    def __init__(self, model: HookedModel) -> None:
        self._tokenizer = model.tokenizer
        self._special = model.special_ids
        self._known: dict[int, str] = {}

    def vocabulary(self, ids: Iterable[int]) -> dict[int, str]:
        """Text of each id; negative ones (padding) are left out."""
        found = {}
        for i in map(int, ids):
            if i >= 0:
                if i not in self._known:
                    self._known[i] = self._decode([i])
                found[i] = self._known[i]
        return found

    def pieces(self, ids: Sequence[int]) -> tuple[str, ...]:
        """A text per token that join to the whole answer.

        Decoded incrementally: leading spaces and characters of several tokens come out only in
        context. A token that completes no character gets an empty text; the one that does gets it all.
        """
        if self._tokenizer is None:
            return tuple(f"<{i}>" for i in ids)
        pieces: list[str] = []
        said = ""
        for end in range(1, len(ids) + 1):
            text = self._decode(ids[:end])
            whole = text if end == len(ids) else text.rstrip("\N{REPLACEMENT CHARACTER}")
            if not whole.startswith(said):
                # A decoder that rewrites what it said (rare): each token speaks for itself.
                return tuple(self.vocabulary([i])[i] for i in ids)
            pieces.append(whole[len(said) :])
            said = whole
        return tuple(pieces)

    def classes(
        self, pieces: Sequence[str], ids: Sequence[int], prompt: str
    ) -> tuple[TokenClass, ...]:
        """What each token of an answer is; see `traces.words`."""
        special = [i in self._special for i in ids]
        if self._tokenizer is None:
            return tuple(TokenClass.SPECIAL if s else TokenClass.CONTENT for s in special)
        from lvlm_audit.traces.words import classify

        return classify(pieces, special=special, prompt=prompt)

    def _decode(self, ids: Sequence[int]) -> str:
        tokenizer: Any = self._tokenizer
        if tokenizer is None:
            return f"<{ids[0]}>"
        try:
            text = tokenizer.decode(
                list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
        except (OverflowError, IndexError, KeyError, TypeError):
            # Heads are padded beyond the tokenizer's last word.
            return "".join(f"<{i}>" for i in ids)
        return str(text)
