"""What may go: the loss of every size on both halves against the budget, and what the set saves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import PruningPlan
from lvlm_audit.report.drawing.loss_chart import LossChart, loss_chart


@dataclass(frozen=True, slots=True)
class Removal:
    """What the template reads."""

    name: ClassVar[str] = "removal"

    chart: LossChart
    shares: tuple[float, float] | None
    """Of parameters and bytes that are saved."""


def section(plan: PruningPlan) -> Removal:
    """Arrange the candidates."""
    saved = plan.savings
    return Removal(
        loss_chart(plan.candidates, plan.budget, plan.unit),
        None
        if saved is None
        else (saved.parameters_saved / saved.parameters, saved.bytes_saved / saved.bytes),
    )
