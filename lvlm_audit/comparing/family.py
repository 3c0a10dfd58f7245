"""The regression family: of each check that tolerates a loss, whether more is shown, excluded, or neither."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from lvlm_audit.comparing.declared import has_tolerance, measures, tolerance_of
from lvlm_audit.comparing.loss import Loss
from lvlm_audit.comparing.right_answers import is_of_right_answers, right_answers
from lvlm_audit.comparing.sentences import sentence, short
from lvlm_audit.comparing.sides import Pair, Seen, probes_of, shared_images
from lvlm_audit.comparing.values import paired_values
from lvlm_audit.comparing.wrong_words import is_of_wrong_words, wrong_words
from lvlm_audit.document import Change, Finding, Outcome, Severity
from lvlm_audit.statistics import MIN_IMAGES, hochberg_levels, holm_levels, images_to_show

ALPHA = 0.025
"""One-sided error rate of the family, apart from the absolute one."""
_MOST_NAMED = 5


def changes(
    now: Seen, before: Seen, pairs: Sequence[Pair], *, seed: int, alpha: float = ALPHA
) -> list[Change]:
    """One change for each check that declares a tolerance, in the suite's order.

    A loss is shown where it is beyond doubt (Hochberg's step-up over the deciding checks that can be compared)
    and larger than what is tolerated; a loss of at least what is tolerated is excluded by Holm's step-down.
    Checks of severity warn are judged by themselves.

    Args:
        now: this audit.
        before: the baseline.
        pairs: probes that both asked, ties marked.
        seed: of the resampling.
        alpha: one-sided error rate of the family.
    """
    family = [finding for finding in now.findings if has_tolerance(finding)]
    deciding = [f for f in family if f.severity is Severity.ERROR]
    shared = shared_images(now, before)
    then = {finding.check: finding for finding in before.findings}
    found: dict[str, Loss | str] = {}
    for finding in family:
        level = alpha / len(deciding) if finding in deciding else alpha
        found[finding.check] = _loss(
            finding, then.get(finding.check), now, before, pairs, shared, level, seed
        )
    compared = [loss for f in deciding if isinstance(loss := found[f.check], Loss)]
    levels = {id(loss): ps for loss, ps in zip(compared, _levels(compared, alpha), strict=True)}
    return [
        _not_compared(finding, then.get(finding.check), loss)
        if isinstance(loss := found[finding.check], str)
        else _change(finding, loss, levels.get(id(loss)) or _alone(loss, alpha))
        for finding in family
    ]


def smallest_needed(now: Seen, alpha: float = ALPHA) -> int:
    """Images that at least one deciding check needs to show a loss of everything, at the family's rate."""
    deciding = [f for f in now.findings if has_tolerance(f) and f.severity is Severity.ERROR]
    needed = [images_to_show(tolerance_of(f), alpha / len(deciding)) for f in deciding]
    return min((n for n in needed if n is not None), default=MIN_IMAGES)


@dataclass(frozen=True, slots=True)
class _Tested:
    """Both p-values of a loss, with the levels at which they decide."""

    shown: float
    shown_at: float
    excluded: float
    excluded_at: float

    @property
    def outcome(self) -> Outcome:
        if self.shown <= self.shown_at:
            return Outcome.SHOWN
        return Outcome.EXCLUDED if self.excluded <= self.excluded_at else Outcome.UNDECIDED

    @property
    def level(self) -> float:
        """Of the interval: the one that decided, or the stricter."""
        if self.outcome is Outcome.SHOWN:
            return self.shown_at
        if self.outcome is Outcome.EXCLUDED:
            return self.excluded_at
        return min(self.shown_at, self.excluded_at)


def _levels(losses: Sequence[Loss], alpha: float) -> list[_Tested]:
    shown = [loss.p_shown for loss in losses]
    excluded = [loss.change.p_excluded(loss.tolerance) for loss in losses]
    size = max(len(losses), 1)
    both = hochberg_levels(shown, alpha, size), holm_levels(excluded, alpha, size)
    return [_Tested(*each) for each in zip(shown, both[0], excluded, both[1], strict=True)]


def _alone(loss: Loss, alpha: float) -> _Tested:
    (tested,) = _levels([loss], alpha)
    return tested


def _loss(
    finding: Finding,
    before: Finding | None,
    now: Seen,
    then: Seen,
    pairs: Sequence[Pair],
    shared: set[str],
    level: float,
    seed: int,
) -> Loss | str:
    if before is not None and measures(before) != measures(finding):
        return "it measures something else in the baseline"
    if not shared:
        return "no image in common"
    by_probe = is_of_right_answers(finding) or is_of_wrong_words(finding)
    if by_probe and not (now.asked and then.asked):
        which = "the baseline" if now.asked else "this document"
        return f"{which} is of an older version, which does not hold its answers one by one"
    if is_of_right_answers(finding):
        return right_answers(finding, pairs, level, seed=seed)
    found: Loss | str
    if is_of_wrong_words(finding):
        found = wrong_words(finding, pairs, seed=seed)
    else:
        values = paired_values(finding, before, shared, seed=seed)
        if isinstance(values, str):
            return values
        found, worst = values
        named = probes_of(now, worst)[:_MOST_NAMED]
        found = dataclasses.replace(found, worst=tuple(named))
    if isinstance(found, Loss) and not found.can_be_shown(level):
        return (
            f"the baseline has too little to lose ({found.before:.3g} {found.unit} on {found.change.n} "
            f"images): not even the loss of all of it could be shown"
        )
    return found


def _not_compared(finding: Finding, before: Finding | None, why: str) -> Change:
    return Change(
        check=finding.check,
        statement=finding.statement,
        severity=finding.severity,
        outcome=Outcome.NOT_COMPARED,
        unit=finding.bound.unit,
        now=finding.observed,
        before=None if before is None else before.observed,
        change=None,
        interval=None,
        limit=None,
        n=0,
        sentence=f"{finding.check} is not compared: {why}",
        short=f"{finding.check} is not compared",
    )


def _change(finding: Finding, loss: Loss, tested: _Tested) -> Change:
    outcome = tested.outcome
    level = tested.level
    if loss.finer is not None:
        level /= 2
        # Said wherever the loss is, and told in the count that people know.
        if outcome is Outcome.SHOWN and loss.is_told_by_finer:
            told = f"shown by {short(loss.finer, loss.finer.interval(1 - 2 * level))}"
            loss = dataclasses.replace(loss, notes=(*loss.notes, told))
    interval = loss.interval(1 - 2 * level)
    needed = None
    if outcome is Outcome.UNDECIDED:
        needed = loss.change.images_to_exclude(loss.tolerance, tested.excluded_at)
    return Change(
        check=finding.check,
        statement=finding.statement,
        severity=finding.severity,
        outcome=outcome,
        unit=loss.unit,
        now=loss.now,
        before=loss.before,
        change=loss.value,
        interval=interval,
        limit=loss.limit,
        n=loss.change.n,
        sentence=sentence(loss, interval, outcome, needed),
        lost=loss.lost,
        gained=loss.gained,
        images_to_exclude=needed,
        worst=list(loss.worst),
        short=short(loss, interval),
    )
