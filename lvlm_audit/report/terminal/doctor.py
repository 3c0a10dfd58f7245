"""`lvlm-audit doctor` on the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lvlm_audit.report.words import visible


def show(lines: Iterable[tuple[str, str]], console: Console) -> None:
    """A table of labels and texts; texts come from the checkpoint and are hostile."""
    table = Table(title="The lens reads this model", show_header=False, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in lines:
        table.add_row(label, Text(visible(text)))
    console.print(table)
