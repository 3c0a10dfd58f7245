"""What these probes can decide at all: said before anything is recorded, from bounds and numbers alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lvlm_audit.document import Severity
from lvlm_audit.errors import CannotJudge
from lvlm_audit.hallucination.labelled import labelled
from lvlm_audit.notes import Note
from lvlm_audit.probes.probe import Probe
from lvlm_audit.settings.gate import Gate
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.spec.check import Check
from lvlm_audit.spec.judge import ALPHA
from lvlm_audit.statistics import (
    Tolerance,
    images_to_ask,
    images_to_exclude,
    images_to_show,
    numbers_that_decide,
)


def foretell(
    checks: Sequence[Check], probes: Sequence[Probe], gate: Gate, *, alpha: float = ALPHA
) -> tuple[Note, ...]:
    """What a suite can decide with these probes only under conditions.

    Args:
        checks: the declared family.
        probes: all that may be asked.
        gate: what fails.
        alpha: one-sided error rate of each of the two families.

    Raises:
        CannotJudge: it could decide nothing; the message says what would help.
    """
    images = len({probe.cluster for probe in probes})
    deciding = [check for check in checks if check.severity is Severity.ERROR]
    notes: list[Note] = []
    if gate.failing in ("absolute", "both"):
        notes += _of_bounds([c for c in checks if c.bounded], images, alpha)
    if gate.baseline is None or gate.failing == "absolute":
        return tuple(notes)
    family = [check for check in deciding if tolerance_of(check) is not None]
    if not family and gate.failing == "both":
        return tuple(notes)
    if not family:
        raise CannotJudge(
            f"no deciding check of this suite is held against a baseline. Declare max_drop or max_rise in one "
            f"(checks/check_regression.py shows how), or judge by the bounds alone: "
            f"{spelled('fail_on', 'absolute')}.",
        )
    can = [check for check in family if not lacks(check, probes)]
    for check in family:
        if missing := lacks(check, probes):
            rest = ", ".join(one.name for one in can) or "nothing"
            notes.append(
                _note(f"{check.name} cannot be compared: {missing}. What can still decide: {rest}.")
            )
    if not can:
        raise CannotJudge(
            "no loss could be shown with these probes: give them an 'answer' or 'labels' that say what is "
            "right (docs/probes.md).",
        )
    level = alpha / len(can)
    needed = {check.name: images_to_show(_tolerance(check), level) for check in can}
    enough = [name for name, least in needed.items() if least is not None and images >= least]
    if not enough:
        least = min((n for n in needed.values() if n is not None), default=None)
        asked = (
            f"ask at least {least} images" if least is not None else "no number of images would do"
        )
        raise CannotJudge(
            f"with {images} images not even a total loss could be shown: {asked}.",
        )
    excluding = [images_to_exclude(_tolerance(check), level) for check in can]
    known = [number for number in excluding if number is not None]
    # Of a loss that no number of images would exclude, nothing can be foretold in numbers.
    most = max(known) if len(known) == len(excluding) else None
    if most is None or most > images:
        notes.append(
            _note(
                f"with {images} images not every loss beyond the tolerance can be excluded, even where nothing "
                f"changes: for all of {', '.join(c.name for c in can)} "
                f"{'no number of images would do' if most is None else f'that takes {most}'}."
            )
        )
    return tuple(notes)


def tolerance_of(check: Check) -> Tolerance | None:
    """The tolerated loss against a baseline; None: the check is not held against one."""
    if check.max_drop is None and check.max_rise is None:
        return None
    return _tolerance(check)


def _tolerance(check: Check) -> Tolerance:
    size = check.max_drop if check.max_drop is not None else check.max_rise
    assert size is not None
    if check.tolerance != "share":
        return Tolerance.points(size)
    return Tolerance.drop(size) if check.max_drop is not None else Tolerance.rise(size)


def lacks(check: Check, probes: Sequence[Probe]) -> str:
    """What a check cannot do without and no probe has; empty: nothing."""
    answered = any((probe.answer or "").strip() for probe in probes)
    if check.metric.needs == "reference pairs" and not answered:
        return "no probe has a reference 'answer'"
    if check.metric.whole and not answered and not any(map(labelled, probes)):
        return "no probe has an 'answer' or 'labels' that say what is right"
    if check.metric.truth and not check.metric.whole and not any(map(labelled, probes)):
        return "no probe's 'labels' say which words are right"
    return ""


def _of_bounds(family: Sequence[Check], images: int, alpha: float) -> Iterator[Note]:
    level = alpha / max(len(family), 1)
    for check in family:
        bound = check.holds_for.value
        if check.severity is not Severity.ERROR or check.holds_for.of != "images" or bound is None:
            continue
        numbers = numbers_that_decide(images, check.holds_for.side, bound, level)
        needed = images_to_ask(check.holds_for.side, bound, level)
        if needed is None or images >= needed:
            continue
        holds = (
            f"cannot pass {check.name} at all"
            if numbers.passes is None
            else f"pass {check.name} only where it holds for {numbers.passes} or "
            f"{'more' if check.holds_for.side == '>=' else 'fewer'}"
        )
        yield _note(
            f"{images} images {holds} (the bound is {bound:.0%}); with {needed} images a model halfway "
            f"between the bound and the best passes nine times in ten"
        )


def _note(text: str) -> Note:
    return Note("probes", text)
