"""Answers of the whole model and of the one without the blocks, with the words that differ marked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import AnswerPair, Loss, PruningPlan
from lvlm_audit.report.differences import Run, side_by_side

_MOST = 40


@dataclass(frozen=True, slots=True)
class Pair:
    """Both answers to one question."""

    asked: AnswerPair
    whole: list[Run]
    skipped: list[Run]


@dataclass(frozen=True, slots=True)
class Answers:
    """What the template reads."""

    name: ClassVar[str] = "answers"

    pairs: list[Pair]
    left: int
    agreement: Loss | None


def section(plan: PruningPlan) -> Answers:
    """Answers that differ come first."""
    order = sorted(plan.answers, key=lambda one: one.same)
    return Answers(
        [Pair(one, *side_by_side(one.whole, one.skipped)) for one in order[:_MOST]],
        max(0, len(order) - _MOST),
        plan.agreement,
    )
