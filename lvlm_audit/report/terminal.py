"""The terminal summary: the verdict, the stages in one line, the findings in one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lvlm_audit.document import Audit, Finding, Severity, Stage, StageReading, Verdict
from lvlm_audit.report.ribbon import STAGE_KEYS, Band, stage_starts
from lvlm_audit.report.select import urgency
from lvlm_audit.report.words import (
    VERDICT_MARKS,
    clip,
    counted,
    figures,
    instrument,
    ranges,
    token,
    visible,
)

_STYLES = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.NOT_APPLICABLE: "dim",
}
_STAGES = {
    Stage.RAPID_EVOLUTION: "rapid",
    Stage.STABILIZATION: "stable",
    Stage.MUTATION: "mutation",
    Stage.WHOLE_ANSWER: "answer",
}
"""Short for a narrow table; the ribbon above it and the report give the full names."""

PER_CENT = "\N{NO-BREAK SPACE}%"
_BANDS = {"rapid": ("░", ".", "blue"), "stable": ("▒", "=", ""), "mutation": ("▓", "#", "magenta")}
_ASCII = str.maketrans(
    {
        "✓": "+",
        "✗": "x",
        "≥": ">=",
        "≤": "<=",
        "–": "-",
        "—": "-",
        "−": "-",
        "…": "...",
        "·": "|",
        "⟨": "<",
        "⟩": ">",
        "↵": "\\n",
        "␣": "_",
        "∅": "''",
        "→": "->",
        "\N{NO-BREAK SPACE}": " ",
    }
)


def summary(
    audit: Audit,
    console: Console,
    *,
    written: Sequence[str | Path] = (),
    encoding: str | None = None,
) -> None:
    """Print a compact summary of an audit.

    Never fails on what the document holds or on what the terminal can show: markup and control
    characters are made plain, and a terminal that cannot encode a sign gets ASCII.

    Args:
        audit: the document.
        console: where to print; width 80 is enough.
        written: the files that were written, to be named at the end.
        encoding: of the terminal where the text ends up, if the console only collects it.
    """
    say = _Speaker(console, encoding or console.encoding)
    subject = audit.subject
    mark = VERDICT_MARKS[audit.verdict]
    say.line((f"{mark} {audit.verdict}", _STYLES[audit.verdict]), f"  {_one(audit.headline, 300)}")
    model = f"model   {_one(subject.model, 80)}"
    if _one(subject.resolved, 80) != _one(subject.model, 80):
        model += f" ({_one(subject.resolved, 80)})"
    images = len({probe.cluster for probe in audit.probes})
    say.line(
        f"{model}, {counted(subject.blocks, 'block')}, {_one(subject.lens, 30)} lens, "
        f"{counted(len(audit.probes), 'probe')} on {counted(images, 'image')}"
    )
    if (subject.divergence, subject.scaling) != ("jsd", "none"):
        say.line(f"read    {_one(instrument(subject), 100)}")
    if subject.is_demo:
        say.line(("This is the demo model: its findings say nothing about yours.", "bold yellow"))
        say.line("Audit your own with --lvlm-model MODEL.")
    _stages(audit.stages, say)
    if audit.findings:
        console.print(_table(sorted(audit.findings, key=urgency), say))
    else:
        say.line(("no finding: nothing was checked", "bold red"))
    for path in written:
        say.line(f"written {_one(str(path), 500)}")


class _Speaker:
    """Prints text that no terminal can choke on."""

    def __init__(self, console: Console, encoding: str) -> None:
        self.console = console
        try:
            "✓✗≥≤–—−…·░▒▓⟨⟩".encode(encoding)
            self.plain = False
        except (UnicodeEncodeError, LookupError):
            self.plain = True

    def text(self, words: str, style: str = "") -> Text:
        """Words as rich text: never parsed as markup, encodable by the terminal."""
        if self.plain:
            words = words.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")
        return Text(words, style=style)

    def line(self, *parts: str | tuple[str, str]) -> None:
        """One line of parts, each plain or with a style."""
        whole = Text()
        for part in parts:
            whole.append_text(self.text(*([part] if isinstance(part, str) else part)))
        self.console.print(whole, highlight=False, overflow="fold")


def _one(text: str, limit: int) -> str:
    """Text on one line, cut and made visible."""
    return visible(clip(text, limit))


def _stages(stages: StageReading, say: _Speaker) -> None:
    found, _ = stage_starts(stages)
    pattern = _one(stages.pattern, 60)
    if not found:
        say.line(f"stages  {pattern}: {_one(stages.evidence, 200)}")
        return
    columns = min(stages.blocks + 1, 40)
    parts: list[str | tuple[str, str]] = [("stages  0 ")]
    for column in range(columns):
        # A deep model has more states than columns: each column shows the state in its middle.
        state = int((column + 0.5) * (stages.blocks + 1) / columns)
        parts.append(_cell(found, state, say.plain))
    parts.append(f" {stages.blocks}")
    say.line(*parts)
    critical = "none" if stages.critical_layer is None else str(stages.critical_layer)
    say.line(
        f"        {pattern} · critical layer {critical} · "
        f"mutation layers {ranges(stages.mutation_layers)}"
    )


def _cell(found: list[Band], state: int, plain: bool) -> tuple[str, str]:
    for band in found:
        if band.first <= state <= band.last:
            sign, ascii_sign, style = _BANDS[STAGE_KEYS[band.stage]]
            return (ascii_sign if plain else sign), style
    return "-", "dim"


def _table(findings: list[Finding], say: _Speaker) -> Table:
    """The findings, those that decide the exit code first; one or two lines each at width 80."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("check", overflow="fold")
    table.add_column("stage", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    # The widest column, so the one that wraps where the terminal is narrow.
    table.add_column(say.text("observed [interval] vs bound"), overflow="fold")
    for severity in Severity:
        chosen = [one for one in findings if one.severity is severity]
        if chosen:
            table.add_row(say.text(f"severity {severity}", "dim"))
        for finding in chosen:
            table.add_row(
                say.text(token(finding.check, 40)),
                say.text(_STAGES[finding.stage]),
                say.text(
                    f"{VERDICT_MARKS[finding.verdict]} {finding.verdict}", _STYLES[finding.verdict]
                ),
                say.text(str(finding.n)),
                say.text(_numbers(finding)),
            )
    return table


def _numbers(finding: Finding) -> str:
    got = figures(finding)
    bound = f"{got.operator} {got.bound} {got.unit}"
    if finding.observed is None:
        return f"— vs {bound}"
    # One sign for the whole cell: "87.5 % [75.5, 99.5]".
    interval = f" {got.interval.replace(PER_CENT, '')}" if finding.interval is not None else ""
    return f"{got.observed}{interval} vs {bound}"
