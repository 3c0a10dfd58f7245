"""The page of a pruning plan: what may go, who nominated it, what it does to answers."""

from __future__ import annotations

from dataclasses import dataclass

from lvlm_audit.document import PruningPlan
from lvlm_audit.report.records import rows
from lvlm_audit.report.sections import Section, answers, nominations, removal


@dataclass(frozen=True, slots=True)
class Page:
    """Everything the templates read."""

    plan: PruningPlan
    sections: list[Section]
    run: list[tuple[str, str]]


def page(plan: PruningPlan) -> Page:
    """Arrange a plan for the templates."""
    return Page(
        plan,
        [removal.section(plan), nominations.section(plan), answers.section(plan)],
        rows(plan.provenance),
    )
