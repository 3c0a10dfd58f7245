"""Where the numbers come from: the run's record and the model's anatomy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import Audit
from lvlm_audit.report.records import rows


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the template reads."""

    name: ClassVar[str] = "provenance"

    run: list[tuple[str, str]]
    anatomy: list[tuple[str, str]]


def section(audit: Audit) -> Provenance:
    """Write the records out as rows."""
    return Provenance(rows(audit.provenance), rows(audit.subject.anatomy))
