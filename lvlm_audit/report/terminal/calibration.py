"""The noise floors as a table for the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lvlm_audit.document import Calibration, Floor
from lvlm_audit.report.terminal import notes
from lvlm_audit.report.words import MISSING, amount, clip, is_share, number, token, visible


def show(calibration: Calibration, console: Console) -> None:
    """Print a calibration; names are hostile text and never parsed as markup."""
    head = (
        f"noise floor of {_one(calibration.model)}, {_one(calibration.lens)} lens: "
        f"{calibration.rounds} rounds of {_one(calibration.method)} (floor: 95 %)"
    )
    console.print(Text(head), highlight=False)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("check", overflow="fold", min_width=20)
    for name in ("observed", "SD", "floor", "bound", "margin", "in floors"):
        table.add_column(name, justify="right")
    table.add_column("")
    for one in calibration.floors:
        table.add_row(*(Text(cell) for cell in _cells(one)))
    console.print(table)
    for one in calibration.floors:
        if one.inside:
            console.print(Text(_warning(one), style="yellow"), highlight=False)
    notes.show(calibration.notes, console)
    console.print(Text(_one(calibration.note, 600), style="dim"), highlight=False)


def _cells(one: Floor) -> list[str]:
    unit = one.bound.unit
    state = "WARN" if one.inside else ""
    if one.observed is None:
        state = "not applicable"
    elif one.floor is None:
        state = "too few rounds"
    return [
        token(one.check, 40),
        amount(one.observed, unit),
        _size(one.deviation, unit),
        _size(one.floor, unit),
        f"{one.bound.op} {amount(one.bound.value, unit)}",
        _size(one.margin, unit),
        number(one.in_floors, 2),
        state,
    ]


def _size(value: float | None, unit: str) -> str:
    """A difference: of shares in percentage points, short for a narrow table."""
    if value is None:
        return MISSING
    return f"{number(100 * value)}\N{NO-BREAK SPACE}pp" if is_share(unit) else number(value)


def _warning(one: Floor) -> str:
    unit = one.bound.unit
    return (
        f"WARN {token(one.check, 40)}: the bound {amount(one.bound.value, unit)} lies inside the noise "
        f"floor around {amount(one.observed, unit)} ({_one(unit)}): other probes could flip the verdict. "
        f"Ask more images, or move the bound for a stated reason."
    )


def _one(text: str, limit: int = 80) -> str:
    return visible(clip(text, limit))
