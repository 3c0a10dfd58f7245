"""The normed lens: every state goes through the final norm, as the last one does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from lvlm_audit.models.anatomy import Anatomy
    from lvlm_audit.models.readout import Readout


@dataclass(frozen=True, slots=True)
class Normed:
    """The logit lens with the final norm (nostalgebraist 2020); the default."""

    name: str = "normed"

    def fingerprint(self) -> str:
        return ""

    def check(self, anatomy: Anatomy) -> None:
        """Fits every model."""

    def rows(self, states: Tensor, first: int, readout: Readout) -> Tensor:
        return readout.normed(states)


NORMED = Normed()
