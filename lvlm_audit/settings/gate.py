"""The settings of the gate: what a model is held against, and what turns the run red."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lvlm_audit.errors import UsageError
from lvlm_audit.settings.checking import checked, default
from lvlm_audit.settings.declared import GATE
from lvlm_audit.settings.spelling import spelled

FailOn = Literal["regression", "absolute", "both", "not-excluded"]
Inconclusive = Literal["warn", "fail", "more"]


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What the model is held against, and what fails; each field is declared in `settings.declared`.

    Raises:
        UsageError: a value that cannot be used, or one that needs a baseline where there is none.

    Example:
        >>> Gate(baseline="parent.json").failing
        'regression'
    """

    baseline: str | None = default(GATE, "baseline")
    fail_on: FailOn | None = default(GATE, "fail_on")
    inconclusive: Inconclusive | None = default(GATE, "inconclusive")
    baseline_allow_mismatch: bool = default(GATE, "baseline_allow_mismatch")
    update_baseline: bool = default(GATE, "update_baseline")

    def __post_init__(self) -> None:
        checked(self, GATE)
        if self.baseline is not None:
            return
        needs = {
            spelled("fail_on", str(self.fail_on)): self.fail_on not in (None, "absolute"),
            spelled("baseline_allow_mismatch"): self.baseline_allow_mismatch,
            spelled("update_baseline"): self.update_baseline,
        }
        for option, asked in needs.items():
            if asked:
                raise UsageError(
                    f"{option} is about a baseline: name an earlier audit or a model with "
                    f"{spelled('baseline')}."
                )

    @property
    def failing(self) -> FailOn:
        """What fails the run, the default filled in."""
        return self.fail_on or ("absolute" if self.baseline is None else "regression")

    @property
    def undecided(self) -> Inconclusive:
        """What becomes of an undecided check, the default filled in."""
        return self.inconclusive or ("fail" if self.baseline is None else "warn")
