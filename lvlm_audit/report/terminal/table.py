"""The findings of an audit on the terminal: a table, or where that is too narrow a few lines each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.table import Table

from lvlm_audit.document import Finding, Severity, Stage, Verdict
from lvlm_audit.report.terminal.speaker import Speaker
from lvlm_audit.report.words import VERDICT_MARKS, figures, token

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


def show(findings: Sequence[Finding], say: Speaker) -> None:
    """Print the findings, those that decide the exit code first."""
    longest = max((cell_len(_name(f)) for f in findings), default=0)
    verdict = max((cell_len(_verdict(f)) for f in findings), default=0)
    if say.console.width - longest - verdict - 8 - 5 - 4 >= _NUMBERS:
        say.console.print(_table(findings, say))
        return
    for severity, chosen in _by_severity(findings):
        say.line((f"severity {severity}", "dim"))
        for f in chosen:
            say.line((_verdict(f), STYLES[f.verdict]), f"  {_name(f)}")
            say.row("", f"{_numbers(f)}; {f.stage}, n {f.n}")


def _by_severity(findings: Sequence[Finding]) -> Iterator[tuple[Severity, list[Finding]]]:
    for severity in Severity:
        chosen = [one for one in findings if one.severity is severity]
        if chosen:
            yield severity, chosen


def _table(findings: Sequence[Finding], say: Speaker) -> Table:
    """One or two lines a finding at width 80."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("check", "stage", "verdict"):
        table.add_column(name, no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    # The widest column, so the one that wraps where the terminal is narrow.
    table.add_column(say.text("observed [interval] vs bound"), overflow="fold")
    for severity, chosen in _by_severity(findings):
        table.add_row(say.text(f"severity {severity}", "dim"))
        for finding in chosen:
            table.add_row(
                say.text(_name(finding)),
                say.text(_STAGES[finding.stage]),
                say.text(_verdict(finding), STYLES[finding.verdict]),
                say.text(str(finding.n)),
                say.text(_numbers(finding)),
            )
    return table


def _name(finding: Finding) -> str:
    return token(finding.check, _NAME)


def _verdict(finding: Finding) -> str:
    expected = " (xfail)" if finding.expectation else ""
    return f"{VERDICT_MARKS[finding.verdict]} {finding.verdict}{expected}"


def _numbers(finding: Finding) -> str:
    got = figures(finding)
    bound = f"{got.operator} {got.bound} {got.unit}"
    if finding.observed is None:
        return f"— vs {bound}"
    # One sign for the whole cell: "87.5 % [75.5, 99.5]".
    interval = f" {got.interval.replace(PER_CENT, '')}" if finding.interval is not None else ""
    return f"{got.observed}{interval} vs {bound}"
