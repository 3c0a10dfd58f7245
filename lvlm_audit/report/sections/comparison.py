"""The audit against its baseline: what is fed otherwise, what decides, which answers changed, what moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import (
    Audit,
    Change,
    ChangedAnswer,
    ChangedAnswers,
    Comparison,
    Difference,
    FedDifference,
    Named,
)
from lvlm_audit.report.against import MAX_FED, answers_words, overall
from lvlm_audit.report.differences import Run, side_by_side
from lvlm_audit.report.drawing.moved_curve import MovedChart, moved_chart
from lvlm_audit.report.drawing.whisker import Whisker, change_whisker, difference_whisker
from lvlm_audit.report.verdicts import Said, of_outcome

MAX_EXAMPLES = 5
MAX_ROWS = 60
MAX_CHARTS = 12
_RIGHT = {True: "right", False: "wrong", None: "not judged"}


@dataclass(frozen=True, slots=True)
class ChangeView:
    """One check of the regression family with its drawing."""

    change: Change
    outcome: Said
    whisker: Whisker | None
    fails: bool
    """It is what fails the run."""
    worst: list[tuple[str, str | None]]
    """Probes: id and place in the page, None where the page does not show the probe."""


@dataclass(frozen=True, slots=True)
class ExampleView:
    """One answer that changed, both texts beside each other."""

    answer: ChangedAnswer
    anchor: str | None
    before: list[Run]
    now: list[Run]
    right: str
    """What became of it: "right before, wrong now"; empty where neither can be judged."""


@dataclass(frozen=True, slots=True)
class DifferenceView:
    """One difference to the baseline with its drawing."""

    difference: Difference
    unit: str
    whisker: Whisker | None


@dataclass(frozen=True, slots=True)
class AgainstView:
    """What the template reads of one comparison."""

    comparison: Comparison
    outcome: Said
    sentence: str
    fed: list[FedDifference]
    fed_left: int
    changes: list[ChangeView]
    right: Change | None
    """The change of right answers, whose lost and gained ones are counted."""
    answers: ChangedAnswers | None
    answers_words: str
    changed: list[ExampleView]
    ties: list[ExampleView]
    conditions: list[Named]
    differences: list[DifferenceView]
    charts: list[MovedChart]


@dataclass(frozen=True, slots=True)
class AgainstBaseline:
    """What the template reads."""

    name: ClassVar[str] = "comparison"

    view: AgainstView


def section(audit: Audit, anchors: Mapping[str, str]) -> AgainstBaseline | None:
    """Arrange the comparison; None where there is no baseline."""
    if audit.comparison is None:
        return None
    return AgainstBaseline(view(audit, audit.comparison, anchors))


def view(audit: Audit, comparison: Comparison, anchors: Mapping[str, str]) -> AgainstView:
    """Arrange one comparison, with the baseline or with its anchor."""
    outcome, sentence = overall(comparison)
    red = set() if audit.gate is None else set(audit.gate.red)
    answers = comparison.answers
    examples = [] if answers is None else answers.examples
    changed = [one for one in examples if not one.tie][:MAX_EXAMPLES]
    ties = [one for one in examples if one.tie][:MAX_EXAMPLES]
    units = {finding.check: finding.bound.unit for finding in audit.findings}
    return AgainstView(
        comparison=comparison,
        outcome=of_outcome(outcome),
        sentence=sentence,
        fed=comparison.fed[:MAX_FED],
        fed_left=max(0, len(comparison.fed) - MAX_FED),
        changes=[_change(one, one.check in red, anchors) for one in comparison.changes],
        right=next((one for one in comparison.changes if one.lost is not None), None),
        answers=answers,
        answers_words="" if answers is None else answers_words(answers),
        changed=[_example(one, anchors) for one in changed],
        ties=[_example(one, anchors) for one in ties],
        conditions=comparison.conditions[:MAX_ROWS],
        differences=[
            _difference(one, one.unit or units.get(one.check, ""))
            for one in comparison.differences[:MAX_ROWS]
        ],
        charts=[moved_chart(one) for one in comparison.curves[:MAX_CHARTS]],
    )


def _change(one: Change, red: bool, anchors: Mapping[str, str]) -> ChangeView:
    said = of_outcome(one.outcome)
    return ChangeView(
        change=one,
        outcome=said,
        whisker=change_whisker(one),
        fails=red and said.key in ("fail", "open"),
        worst=[(probe, anchors.get(probe)) for probe in one.worst[:MAX_EXAMPLES]],
    )


def _example(one: ChangedAnswer, anchors: Mapping[str, str]) -> ExampleView:
    before, now = side_by_side(one.before, one.now)
    judged = (one.right_before, one.right_now) != (None, None)
    return ExampleView(
        answer=one,
        anchor=anchors.get(one.id),
        before=before,
        now=now,
        right=f"{_RIGHT[one.right_before]} before, {_RIGHT[one.right_now]} now" if judged else "",
    )


def _difference(one: Difference, unit: str) -> DifferenceView:
    return DifferenceView(one, unit, difference_whisker(one.difference, one.interval, unit))
