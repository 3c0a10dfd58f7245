"""A model that a caller has opened, where a checkpoint's name stands otherwise. torch is not imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lvlm_audit.models.hooked import HookedModel


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class InMemory:
    """A model in memory, and what it is known by.

    Attributes:
        model: opened; whoever opened it closes it.
        key: of its content (`models.content`); None: it has none, and nothing of it is kept.
        is_demo: whether it was read from the demo model's folder.
    """

    model: HookedModel
    key: str | None = None
    is_demo: bool = False

    @property
    def name(self) -> str:
        """As messages and documents call it."""
        return self.model.name

    def described(self) -> str:
        """As a document names it."""
        return f"{self.name.rstrip('/').rpartition('/')[2]} (in memory)"

    @property
    def takes_images(self) -> bool:
        """Not, if all that it is asked with is a tokenizer."""
        return self.model.tokenizer is None or self.model.processor is not self.model.tokenizer
