"""Scores: how right the yes/no answers are, by each data set's own rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import Audit, ScoreReading


@dataclass(frozen=True, slots=True)
class Scores:
    """What the template reads."""

    name: ClassVar[str] = "scores"

    readings: list[ScoreReading]


def section(audit: Audit) -> Scores | None:
    """One table for each rule; None where no yes or no is expected."""
    return Scores(audit.scores) if audit.scores else None
