"""The raw lens: the head reads states as they are, as the paper's published code does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lvlm_audit.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from lvlm_audit.models.anatomy import Anatomy
    from lvlm_audit.models.readout import Readout


@dataclass(frozen=True, slots=True)
class Raw:
    """No norm before the last state: the last transition is measured between two instruments."""

    name: str = "raw"

    def fingerprint(self) -> str:
        return ""

    def check(self, anatomy: Anatomy) -> None:
        if anatomy.state_width not in (0, anatomy.width):
            raise UsageError(
                f"the raw lens reads states without what precedes the head, but this model's states are "
                f"{anatomy.state_width} wide and its head reads {anatomy.width}. Use the normed lens."
            )

    def rows(self, states: Tensor, first: int, readout: Readout) -> Tensor:
        return states


RAW = Raw()
