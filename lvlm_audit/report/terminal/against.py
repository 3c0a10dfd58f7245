"""What the terminal says of the gate: what is fed otherwise, what was lost, what stayed open, what moved."""

from __future__ import annotations

from collections.abc import Iterator

from lvlm_audit.document import Audit, Change, Comparison, Difference, Outcome
from lvlm_audit.report.against import figures_of, needed_words
from lvlm_audit.report.terminal.speaker import Speaker
from lvlm_audit.report.terminal.table import STYLES
from lvlm_audit.report.verdicts import Said, comparisons, left_out, looks, of_outcome
from lvlm_audit.report.words import change, changes, counted, one_line

_MOST_FED = 6
_MOST_NAMED = 12


def first(audit: Audit, say: Speaker) -> None:
    """Right below the verdict: how much was asked, what is fed otherwise, each loss, the figures in short."""
    if words := looks(audit):
        say.row("looks", words)
    for one in comparisons(audit):
        _fed(one, say)
        for text in one.mismatch:
            say.row("asked", ("otherwise: ", "bold red"), one_line(text, 300))
    for one in comparisons(audit):
        which = "" if one is audit.comparison else "against the anchor: "
        for loss in _of(one, Outcome.SHOWN):
            said = of_outcome(loss.outcome)
            warns = " (severity warn)" if loss.severity == "warn" else ""
            say.row("loss", _mark(said), f"{which}{one_line(loss.sentence, 500)}{warns}")
        if one.gone:
            say.row("gone", f"{which}{_names(one.gone)}: no more applicable")
        told = "; ".join(one_line(figure, 120) for figure in figures_of(one))
        anchor = "" if one is audit.comparison else "anchor "
        say.row(
            "against",
            f"{anchor}{one_line(one.baseline_model, 80)}: {told or 'no deciding check is held against it'}",
        )
        if open_ones := _of(one, Outcome.UNDECIDED):
            needed = needed_words(open_ones)
            said = of_outcome(Outcome.UNDECIDED)
            say.row(
                "",
                _mark(said),
                f"undecided: {_names([c.check for c in open_ones])}{f'; {needed}' if needed else ''}",
            )
        if missing := _of(one, Outcome.NOT_COMPARED):
            say.row("", f"not compared: {_names([c.check for c in missing])}")
        if one.new:
            say.row("", f"new, not in the {'anchor' if anchor else 'baseline'}: {_names(one.new)}")


def last(audit: Audit, say: Speaker) -> None:
    """What was not run, where nobody can miss it."""
    words = left_out(audit)
    if words and audit.gate is not None:
        say.line((f"{words}; left out: {_names(audit.gate.left_out)}", "bold yellow"))


def moved(audit: Audit, say: Speaker) -> None:
    """What differs from the baseline beyond chance and is not judged, a line each; how many do not, in one."""
    units = {finding.check: finding.bound.unit for finding in audit.findings}
    for one in comparisons(audit):
        for place, words in enumerate(_moved(one, units)):
            say.row("" if place else "moved", words)


def _moved(found: Comparison, units: dict[str, str]) -> Iterator[str]:
    if not found.differences:
        return
    note = f" {one_line(found.note, 400)}" if found.note else ""
    yield (
        f"described, {'' if not found.anchor else 'against the anchor, '}image by image; simultaneous 95 % "
        f"intervals.{note}"
    )
    paired = [one for one in found.differences if one.interval is not None]
    clear = [one for one in paired if not _around_zero(one)]
    for one in clear:
        unit, ends = one.unit or units.get(one.check, ""), one.interval
        assert ends is not None
        yield (
            f"{one_line(one.check, 40)} {change(one.difference, unit)} {changes((ends.low, ends.high), unit)}, "
            f"{counted(one.n, 'image')}"
        )
    close = len(paired) - len(clear)
    rest = len(found.differences) - len(paired)
    words = [f"{close} within chance"] if close else []
    words += [f"{rest} without an interval"] if rest else []
    if words:
        yield ", ".join(words)


def _fed(found: Comparison, say: Speaker) -> None:
    which = "anchor" if found.anchor else "baseline"
    for one in found.fed[:_MOST_FED]:
        here, there = one_line(one.here, 120), one_line(one.there, 120)
        say.row(
            "fed", (f"{one_line(one.what, 80)}: ", "bold"), f"{here} here, {there} in the {which}"
        )
    if len(found.fed) > _MOST_FED:
        say.row("", f"{counted(len(found.fed) - _MOST_FED, 'setting')} more differ")


def _of(found: Comparison, outcome: Outcome) -> list[Change]:
    return [one for one in found.changes if one.outcome is outcome]


def _mark(said: Said) -> tuple[str, str]:
    return f"{said.mark} ", STYLES[said.colour]


def _names(names: list[str]) -> str:
    shown = ", ".join(one_line(name, 60) for name in names[:_MOST_NAMED])
    rest = len(names) - _MOST_NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown


def _around_zero(one: Difference) -> bool:
    return one.interval is None or one.interval.low <= 0 <= one.interval.high
