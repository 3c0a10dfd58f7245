"""A series on the terminal: one table of all checkpoints, with a mark at the first that fell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lvlm_audit.comparing import verdict_sentence
from lvlm_audit.comparing.declared import metric_of
from lvlm_audit.document import Audit
from lvlm_audit.notes import Note, distinct
from lvlm_audit.report.terminal import against, notes
from lvlm_audit.report.terminal.speaker import Speaker
from lvlm_audit.report.terminal.table import STYLES
from lvlm_audit.report.verdicts import comparisons, of_audit
from lvlm_audit.report.words import number, one_line

ADVANTAGE = "log2 likelihood ratio of the reference answer, own image over another probe's"
SURPRISAL = "surprisal of the reference answer under its own image"
_WIDE = 110
"""Characters from which on the sentences stand in the table."""
_NONE = "—"


def series(
    audits: Mapping[str, Audit],
    console: Console,
    *,
    baseline: Audit | None = None,
    left_out: Sequence[Note] = (),
    written: Sequence[str | Path] = (),
    encoding: str | None = None,
) -> None:
    """Print one table of a series.

    Args:
        audits: by the checkpoint's name, in order.
        console: where to print.
        baseline: what all were held against; its values are the first row.
        left_out: what the pattern found and was not audited.
        written: the files that were written.
        encoding: of the terminal where the text ends up.
    """
    say = Speaker(console, encoding or console.encoding)
    fallen = [name for name, audit in audits.items() if audit.gate is not None and audit.gate.red]
    wide = console.width >= _WIDE
    console.print(_table(audits, baseline, fallen[:1], say, wide=wide))
    if not wide:
        for name, audit in audits.items():
            say.line((f"{one_line(name, 60)}: ", "bold"), _told(audit))
    for note in distinct((*left_out, *(n for audit in audits.values() for n in audit.notes))):
        say.line((notes.line(note), "yellow"))
    if fallen:
        names = list(audits)
        place = names.index(fallen[0])
        before = f"; the last before it is {one_line(names[place - 1], 60)}" if place else ""
        say.line(("first that fell: ", "bold red"), f"{one_line(fallen[0], 60)}{before}")
    else:
        say.line("none fell")
    for path in written:
        say.line(f"written {one_line(str(path), 500)}")
    for audit in list(audits.values())[-1:]:
        against.last(audit, say)


def _table(
    audits: Mapping[str, Audit],
    baseline: Audit | None,
    first: Sequence[str],
    say: Speaker,
    *,
    wide: bool,
) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("checkpoint", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for name in ("right answers", "advantage", "surprisal"):
        table.add_column(name, justify="right")
    if wide:
        table.add_column("what happened", overflow="fold", ratio=1)
    if baseline is not None:
        name = f"(parent) {one_line(baseline.subject.model, 40)}"
        table.add_row(say.text(name, "dim"), "", *(say.text(v, "dim") for v in _values(baseline)))
    for name, audit in audits.items():
        got = of_audit(audit)
        mark = " <- first that fell" if name in first else ""
        table.add_row(
            say.text(one_line(name, 60)),
            say.text(f"{got.mark} {got.word}{mark}", STYLES[got.colour]),
            *(say.text(value) for value in _values(audit)),
            *([say.text(_told(audit))] if wide else []),
        )
    return table


def _values(audit: Audit) -> Iterator[str]:
    known = [probe.right for probe in audit.asked if probe.right is not None]
    yield f"{sum(known)} of {len(known)}" if known else _NONE
    for metric in (ADVANTAGE, SURPRISAL):
        found = next((f for f in audit.findings if metric_of(f) == metric), None)
        value = None if found is None else found.observed
        yield _NONE if value is None else f"{number(value)} bits"


def _told(audit: Audit) -> str:
    told = "; ".join(
        f"against the anchor: {verdict_sentence(one)}" if one.anchor else verdict_sentence(one)
        for one in comparisons(audit)
    )
    return one_line(told or audit.headline, 400)
