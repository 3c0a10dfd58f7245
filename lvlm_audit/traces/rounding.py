"""How far rounding moves the last margin of an answer's tokens. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lvlm_audit.errors import TraceError
from lvlm_audit.short_repr import ShortRepr
from lvlm_audit.traces.items import stored
from lvlm_audit.traces.trace import Asked, FloatArray, IntArray


@stored
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RoundingTrace(ShortRepr):
    """The last margins of one answer's tokens, computed in several ways that differ in rounding alone.

    Raises:
        TraceError: on construction, if shapes disagree or a margin is not finite.
    """

    asked: Asked
    token_ids: IntArray
    """[T]"""
    runs: tuple[str, ...]
    """R ways in which they were computed."""
    margins: FloatArray
    """[R, T] bits by which the emitted token leads the best other one at the last state."""

    def __post_init__(self) -> None:
        where = f"margins of probe {self.asked.id!r}"
        wanted = (len(self.runs), *self.token_ids.shape)
        if self.token_ids.ndim != 1 or self.margins.shape != wanted or not self.margins.size:
            raise TraceError(f"{where}: they are {self.margins.shape}, not {wanted}.")
        if not np.isfinite(self.margins).all():
            raise TraceError(
                f"{where}: a margin is not finite. The model gives values that are not."
            )

    @property
    def spread(self) -> FloatArray:
        """[T] largest difference of a token's margin between two of the runs, bits."""
        spread: FloatArray = self.margins.max(axis=0) - self.margins.min(axis=0)
        return spread
