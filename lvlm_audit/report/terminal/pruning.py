"""A pruning plan as tables for the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lvlm_audit.document import Loss, PruningPlan
from lvlm_audit.report.terminal import notes
from lvlm_audit.report.words import MISSING, amount, clip, number, prose, ranges, share, visible

_ANSWERS = 4
"""Pairs of answers that differ, at most."""


def show(plan: PruningPlan, console: Console) -> None:
    """Print a plan; names and answers are hostile text and never parsed as markup."""
    console.print(
        Text(
            f"pruning plan of {_one(plan.model)} ({plan.depth} blocks): {_one(plan.definition, 200)}"
        ),
        highlight=False,
    )
    console.print(_nominations(plan))
    console.print(_candidates(plan))
    style = "bold green" if plan.certified else "bold yellow"
    console.print(Text(prose(plan.verdict), style=style), highlight=False)
    if plan.agreement is not None:
        console.print(
            Text(
                f"without {_blocks(plan.shown)}, asked anew: {_interval(plan.agreement, 'share')} of "
                f"{plan.certification_probes} answers stay the same"
                + ("" if plan.certified else " (not certified)")
            ),
            highlight=False,
        )
    for one in [a for a in plan.answers if not a.same][:_ANSWERS]:
        console.print(Text(f"  {_one(one.prompt, 100)}", style="dim"), highlight=False)
        console.print(Text(f"    whole:   {_one(one.whole, 160)}"), highlight=False)
        console.print(Text(f"    skipped: {_one(one.skipped, 160)}"), highlight=False)
    if plan.savings is not None:
        saved = plan.savings
        console.print(
            Text(
                f"saves {saved.parameters_saved:,} of {saved.parameters:,} parameters "
                f"({share(saved.parameters_saved / saved.parameters)}), {saved.bytes_saved:,} bytes; time to "
                f"the first token x {number(saved.prefill)}, for each further one x {number(saved.decode)}"
            ),
            highlight=False,
        )
    if plan.export is not None:
        made = plan.export
        console.print(
            Text(
                f"exported to {_one(made.folder, 400)}: its logits differ from the skipped model's by at most "
                f"{number(made.difference)}, where logits reach {number(made.largest_logit)} "
                f"({made.steps} steps on fresh pictures)"
            ),
            highlight=False,
        )
    if plan.export_refused:
        console.print(
            Text(f"not exported: {prose(plan.export_refused)}", style="bold red"), highlight=False
        )
    notes.show(plan.notes, console)
    console.print(Text(prose(plan.note), style="dim"), highlight=False)


def _nominations(plan: PruningPlan) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")
    table.add_column("nominated by", overflow="fold", min_width=20)
    sizes = sorted({1, min(2, _largest(plan)), min(4, _largest(plan)), _largest(plan)} - {0})
    for size in sizes:
        table.add_column(f"first {size}" if size > 1 else "first", overflow="fold")
        table.add_column("loss", justify="right")
    for method in plan.methods:
        cells = [_one(method.method, 40)]
        for size in sizes:
            if size <= len(method.sets):
                one = method.sets[size - 1]
                cells += [ranges(one.blocks), number(one.loss)]
            else:
                cells += [MISSING, ""]
        table.add_row(*(Text(cell) for cell in cells))
        if method.reason:
            table.add_row(Text(f"  {_one(method.reason, 120)}", style="dim"))
    return table


def _candidates(plan: PruningPlan) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("removed", justify="right")
    table.add_column("blocks", overflow="fold")
    table.add_column("nomination half", justify="right")
    table.add_column("certification half", justify="right")
    table.add_column(f"budget {amount(plan.budget, plan.unit)}")
    for one in plan.candidates:
        table.add_row(
            str(len(one.blocks)),
            Text(ranges(one.blocks)),
            Text(_interval(one.nomination, plan.unit)),
            Text(_interval(one.certification, plan.unit)),
            Text("within", style="green")
            if one.certified
            else Text("not certified", style="yellow"),
        )
    return table


def _interval(loss: Loss, unit: str) -> str:
    return f"{amount(loss.value, unit)} [{amount(loss.low, unit)}, {amount(loss.high, unit)}]"


def _largest(plan: PruningPlan) -> int:
    return max((len(m.sets) for m in plan.methods), default=0)


def _blocks(blocks: list[int]) -> str:
    return f"block{'s' if len(blocks) > 1 else ''} {ranges(blocks)}"


def _one(text: str, limit: int = 80) -> str:
    return visible(clip(text, limit))
