"""Where the numbers come from: the run's record and the model's anatomy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import Audit
from lvlm_audit.report.records import rows
from lvlm_audit.report.verdicts import comparisons
from lvlm_audit.report.words import clip, counted, number


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the template reads."""

    name: ClassVar[str] = "provenance"

    run: list[tuple[str, str]]
    anatomy: list[tuple[str, str]]
    rounding: str
    """How far rounding moves a margin, and how many answers it alone may have changed; empty: not measured."""


def section(audit: Audit) -> Provenance:
    """Write the records out as rows."""
    return Provenance(rows(audit.provenance), rows(audit.subject.anatomy), _rounding(audit))


def _rounding(audit: Audit) -> str:
    measured = audit.rounding
    if measured is None:
        return ""
    said = (
        f"Rounding alone moves a last margin by up to {number(measured.floor)} bits (the same tokens fed anew "
        f"in {counted(len(measured.runs), 'other way')}: "
        f"{clip('; '.join(measured.runs) or 'not said', 300)}; {counted(measured.probes, 'probe')}, "
        f"{counted(measured.tokens, 'token')})."
    )
    ties = [
        f"{counted(one.answers.ties, 'answer')} against the {'anchor' if one is audit.anchor else 'baseline'}"
        for one in comparisons(audit)
        if one.answers is not None
    ]
    if not ties:
        return said
    return f"{said} An answer that first differs where both margins are smaller is a tie: {' and '.join(ties)}."
