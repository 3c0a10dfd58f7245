"""The findings of an audit on the terminal: a table, or where that is too narrow a few lines each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.cells import cell_len
from rich.table import Table

from lvlm_audit.document import Change, Finding, Severity, Stage, Verdict
from lvlm_audit.report.terminal.speaker import Speaker
from lvlm_audit.report.verdicts import VERDICT_MARKS, badness, of_outcome
from lvlm_audit.report.words import figures, token

Losses = Mapping[str, Sequence[Change]]

STYLES = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.NOT_APPLICABLE: "dim",
    Verdict.DESCRIBED: "dim",
}
_STAGES = {
    Stage.RAPID_EVOLUTION: "rapid",
    Stage.STABILIZATION: "stable",
    Stage.MUTATION: "mutation",
    Stage.WHOLE_ANSWER: "answer",
}
"""Short for a narrow table; the ribbon above it and the report give the full names."""

PER_CENT = "\N{NO-BREAK SPACE}%"
_NAME = 40
_NUMBERS = 24
"""Characters that the numbers need beside the rest, so that they wrap between words."""


def show(findings: Sequence[Finding], say: Speaker, losses: Losses | None = None) -> None:
    """Print the findings, those that decide the exit code first; descriptions last and apart.

    Args:
        findings: in the order in which they are printed.
        say: where to.
        losses: what is known against a baseline of those that have no bound, by check.
    """
    losses = {} if losses is None else losses
    longest = max((cell_len(_name(f)) for f in findings), default=0)
    verdict = max((cell_len(_verdict(f, losses)[0]) for f in findings), default=0)
    if say.console.width - longest - verdict - 8 - 5 - 4 >= _NUMBERS:
        say.console.print(_table(findings, say, losses))
        return
    for group, chosen in _groups(findings, losses):
        say.line((group, "dim"))
        for f in chosen:
            verdict_words, style = _verdict(f, losses)
            say.line((f"{verdict_words}  " if verdict_words else "", style), _name(f))
            say.row("", f"{_numbers(f)}; {f.stage}, n {f.n}")


def _groups(findings: Sequence[Finding], losses: Losses) -> Iterator[tuple[str, list[Finding]]]:
    for severity in Severity:
        chosen = [f for f in findings if f.severity is severity and f.bound.value is not None]
        if chosen:
            yield f"severity {severity}", chosen
    described = [f for f in findings if f.bound.value is None]
    described.sort(key=lambda f: badness(next(iter(losses.get(f.check, ())), None)))
    if described:
        yield f"{Verdict.DESCRIBED}, no bound", described


def _table(findings: Sequence[Finding], say: Speaker, losses: Losses) -> Table:
    """One or two lines a finding at width 80."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("check", "stage", "verdict"):
        table.add_column(name, no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    # The widest column, so the one that wraps where the terminal is narrow.
    table.add_column(say.text("observed [interval] vs bound"), overflow="fold")
    for group, chosen in _groups(findings, losses):
        table.add_row(say.text(group, "dim"))
        for finding in chosen:
            table.add_row(
                say.text(_name(finding)),
                say.text(_STAGES[finding.stage]),
                say.text(*_verdict(finding, losses)),
                say.text(str(finding.n)),
                say.text(_numbers(finding)),
            )
    return table


def _name(finding: Finding) -> str:
    return token(finding.check, _NAME)


def _verdict(finding: Finding, losses: Losses) -> tuple[str, str]:
    """Mark, word and style; a description has none of its own, only what is known of its loss."""
    if finding.bound.value is None:
        known = losses.get(finding.check)
        if not known:
            return "", ""
        said = of_outcome(known[0].outcome)
        return f"{said.mark} {said.word}", STYLES[said.colour]
    expected = " (xfail)" if finding.expectation else ""
    return f"{VERDICT_MARKS[finding.verdict]} {finding.verdict}{expected}", STYLES[finding.verdict]


def _numbers(finding: Finding) -> str:
    got = figures(finding)
    bound = f" vs {got.against}" if got.against else f" {got.unit}".rstrip()
    if finding.observed is None:
        return f"—{bound if got.against else ''}"
    # One sign for the whole cell: "87.5 % [75.5, 99.5]".
    interval = f" {got.interval.replace(PER_CENT, '')}" if finding.interval is not None else ""
    return f"{got.observed}{interval}{bound}"
