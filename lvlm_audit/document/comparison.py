"""One audit against an earlier one."""

from __future__ import annotations

from dataclasses import dataclass

from lvlm_audit.document.findings import Interval


@dataclass(frozen=True, slots=True)
class Difference:
    """One finding against the same finding of a baseline, paired by image."""

    check: str
    observed: float | None
    baseline: float | None
    difference: float | None
    interval: Interval | None
    n: int
    note: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """This audit against an earlier one."""

    baseline_model: str
    baseline_created: str
    differences: list[Difference]
    note: str
