"""What a pruning plan is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lvlm_audit.settings.checking import checked, default
from lvlm_audit.settings.declared import PRUNING

Measure = Literal["kl", "disagreement", "accuracy"]

UNITS: dict[Measure, str] = {
    "kl": "bits a token",
    "disagreement": "share of tokens",
    "accuracy": "share of the right answers",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A plan's budget, and what is done with it.

    Raises:
        UsageError: a value that cannot be used.
    """

    budget: float = default(PRUNING, "budget")
    measure: Measure = default(PRUNING, "measure")
    max_blocks: int | None = default(PRUNING, "max_blocks")
    export: Path | None = default(PRUNING, "export")

    def __post_init__(self) -> None:
        checked(self, PRUNING)
