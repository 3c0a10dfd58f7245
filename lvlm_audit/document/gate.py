"""What turned the run red, green, or neither."""

from __future__ import annotations

from dataclasses import dataclass, field

from lvlm_audit.settings.gate import FailOn, Inconclusive


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReading:
    """By what the run was judged, and what decided it."""

    fail_on: FailOn
    inconclusive: Inconclusive
    """What became of undecided checks."""
    red: list[str] = field(default_factory=list)
    """Checks that fail the run."""
    undecided: list[str] = field(default_factory=list)
    """Deciding checks that stayed undecided."""
    left_out: list[str] = field(default_factory=list)
    """Deciding checks of the suite that were not run (`-k`, `-m`, `--deselect`)."""
    looks: int = 1
    """How often the images were added to and judged again; each look has its share of the error rate."""
    looks_planned: int = 1
    """How many looks there would have been, had checks stayed undecided."""
    images_planned: int = 0
    """Images that all looks together would have asked; 0: there was one look, at all of them."""
