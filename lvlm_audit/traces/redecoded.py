"""A question asked anew under an intervention: what is said then. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

from lvlm_audit.errors import TraceError
from lvlm_audit.short_repr import ShortRepr
from lvlm_audit.traces.items import stored
from lvlm_audit.traces.trace import Asked, IntArray


@stored
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Redecoded(ShortRepr):
    """One greedy answer under an intervention, to be held against the plain greedy one.

    Raises:
        TraceError: on construction, if it says nothing.
    """

    asked: Asked
    intervention: str
    """Its name, e.g. "DoLa high"."""
    description: str
    """What it does, in a sentence."""
    source: str
    """Where it is defined."""
    blocks: tuple[int, ...]
    """Blocks that were skipped, 0-based; none where decoding alone was changed."""
    token_ids: IntArray
    """[T] an end of sequence included when it was generated."""
    answer: str
    """The tokens as a person reads them, control tokens left out."""

    def __post_init__(self) -> None:
        if self.token_ids.ndim != 1 or self.token_ids.size == 0:
            raise TraceError(
                f"answer under {self.intervention} to probe {self.asked.id!r}: it has no tokens. Drop the "
                f"probe."
            )
