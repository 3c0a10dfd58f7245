"""The power table for the terminal: a line for each fault and size, what each check says of it."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lvlm_audit.document import Outcome
from lvlm_audit.power.cells import Row, rows
from lvlm_audit.power.running import Power
from lvlm_audit.report.terminal import notes
from lvlm_audit.report.words import clip, token, visible


def show(power: Power, console: Console) -> None:
    """Print a table; names are hostile text and never parsed as markup."""
    model = visible(clip(power.model, 80))
    head = f"power of {len(power.checks)} checks on {model}: on how many sets each says what"
    console.print(Text(head), highlight=False)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("fault", overflow="fold", min_width=16)
    table.add_column("images", justify="right")
    table.add_column("red", justify="right")
    for name in power.checks:
        table.add_column(token(name, 24), overflow="fold")
    for row in rows(power.cells):
        table.add_row(
            Text(token(row.fault, 40)),
            str(row.images),
            Text(f"{row.red} of {row.sets}", style="bold red" if row.red else ""),
            *(Text(said(row, name)) for name in power.checks),
        )
    console.print(table)
    console.print(
        Text(
            "shown: a loss beyond what is tolerated; excluded: none; undecided: neither, with about how many "
            "images would exclude it."
        ),
        highlight=False,
    )
    for one in power.cells:
        for text in one.mismatch:
            what = f"{one.fault}, set {one.set + 1}: not compared: {text}"
            console.print(Text(visible(clip(what, 200)), style="yellow"), highlight=False)
    notes.show(power.notes, console)


def said(row: Row, check: str) -> str:
    """How often each outcome came up, and the images that a loss would need to be excluded."""
    counts = row.checks.get(check, {})
    found = [f"{counts[str(o)]} {o}" for o in Outcome if counts.get(str(o))]
    needed = row.needed.get(check)
    open_ones = counts.get(str(Outcome.UNDECIDED), 0)
    asked = f" (~{needed} images)" if needed is not None and open_ones else ""
    return (", ".join(found) or "—") + asked
