"""The noise floor: how much a finding differs between audits of the same weights on other probes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lvlm_audit.document.findings import Bound, Severity
from lvlm_audit.document.saved import Saved
from lvlm_audit.notes import Note

CALIBRATION_SCHEMA = "lvlm_audit/calibration"
CALIBRATION_VERSION = 1


@dataclass(frozen=True, slots=True)
class Floor:
    """One check's noise floor."""

    check: str
    severity: Severity
    observed: float | None
    """Mean over rounds of fresh probes, or the value on the whole probe set; None: not applicable."""
    deviation: float | None
    """Standard deviation of the observed value between audits of this many images; None where fewer
    than two rounds have a value."""
    floor: float | None
    """Two audits of the same weights differ by more than this in 5 % of cases."""
    bound: Bound
    margin: float | None
    """Observed minus bound, positive where the statement holds."""
    inside: bool
    """The bound lies within the noise floor of the observed value: other probes could flip the verdict."""
    rounds: int
    """Rounds in which the check was applicable."""
    images: float
    """Images that count in one audit, mean over rounds."""

    @property
    def in_floors(self) -> float | None:
        """The margin in units of the floor; None where the floor is zero or unknown."""
        if self.margin is None or not self.floor:
            return None
        return self.margin / self.floor


@dataclass(frozen=True, slots=True)
class Calibration(Saved):
    """The noise floors of a suite on one model."""

    CALLED = "a calibration"

    model: str
    lens: str
    probes: str
    """Where they came from."""
    method: str
    """"fresh probes" or "halves of one probe set"."""
    rounds: int
    floors: list[Floor]
    note: str
    """How the figures were made."""
    provenance: dict[str, Any]
    notes: list[Note] = field(default_factory=list)
    """What of the user's input was left out, or used otherwise than it was given."""
    schema: str = CALIBRATION_SCHEMA
    schema_version: int = CALIBRATION_VERSION
    schema_minor: int = 0
