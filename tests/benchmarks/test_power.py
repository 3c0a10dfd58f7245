"""The page of the power table says what the cells say."""

from __future__ import annotations

from typing import Any

from benchmarks.power import page
from lvlm_audit.document import Outcome
from lvlm_audit.faults.fault import Intended
from lvlm_audit.power.cells import Cell, CheckOutcome
from lvlm_audit.power.running import Power


def cell(fault: str, outcome: Outcome, images: int, number: int, **more: Any) -> Cell:
    intended: Intended = "healthy" if fault == "unchanged" else "fault"
    seen = CheckOutcome(
        check="informs", deciding=True, outcome=outcome, before=5.0, now=1.0, images_to_exclude=90,
        sentence="The image's advantage fell by 4 bits.",
    )  # fmt: skip
    return Cell(fault=fault, intended=intended, images=images, set=number, outcomes=[seen], **more)


def label(fault: str, found: str) -> dict[str, Any]:
    return {
        "fault": fault, "what": "What it is.", "intended": "fault", "seed": 0, "before": 300, "after": 100,
        "of": 400, "lost": 200, "gained": 0, "change": -50.0, "interval": [-55.0, -45.0], "label": found,
    }  # fmt: skip


LABELS = {
    "rule": "The rule.",
    "created": "2026-12-01",
    "versions": {"torch": "2"},
    "faults": [label("int4", "real"), label("unchanged", "healthy"), label("LoRA", "between")],
}


def test_what_was_missed_is_named() -> None:
    cells = [
        *(cell("int4", Outcome.SHOWN, 48, k, fed=["processor: image_mean"]) for k in range(3)),
        cell("int4", Outcome.SHOWN, 24, 0),
        cell("int4", Outcome.UNDECIDED, 24, 1),
        cell("int4", Outcome.EXCLUDED, 24, 2),
        *(cell("unchanged", Outcome.EXCLUDED, 48, k) for k in range(3)),
        cell("LoRA", Outcome.SHOWN, 48, 0),
    ]
    alike = [cell("unchanged", Outcome.EXCLUDED, 24, k) for k in range(60)]
    made = page(Power(model="demo", checks=["informs"], cells=cells), alike, LABELS, 2)
    assert "sets of 48 images: 3 of 3 red**." in made
    assert "sets of 24 images: 1 of 3 red**; not always: int4 (1 of 3)." in made
    assert "labelled healthy or better: 0 of 3 red" in made
    assert "0 of 60 red" in made
    assert "at 4.9% (95 %, one-sided)" in made
    assert "| int4 | real | 24 | 1 of 3 | 1s 1e 1u (90) |" in made
    assert (
        "- **int4**: The image's advantage fell by 4 bits. Fed differently: processor: image_mean."
        in made
    )
    # A table's lines stand together, or it is none.
    lines = made.splitlines()
    head = lines.index("| fault | label | images | red | `informs` |")
    assert lines[head + 1].startswith("|---")
    assert all(line.startswith("|") for line in lines[head : head + 2 + 4])
