"""A cell: one fault, one probe set, and what the gate says of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lvlm_audit.document import Comparison, Outcome, Severity
from lvlm_audit.document.plain import plain
from lvlm_audit.faults.fault import Intended


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOutcome:
    """What one check of the regression family says."""

    check: str
    deciding: bool
    outcome: Outcome
    before: float | None
    now: float | None
    images_to_exclude: int | None
    """About how many images would exclude a loss, if the values stay."""
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One fault on one probe set."""

    fault: str
    intended: Intended
    images: int
    """How many images the set was asked to have."""
    set: int
    """Which of the sets of that size."""
    outcomes: list[CheckOutcome] = field(default_factory=list)
    fed: list[str] = field(default_factory=list)
    """What is fed differently, by name."""
    mismatch: list[str] = field(default_factory=list)
    """Why the two could not be compared; empty: they could."""
    gone: list[str] = field(default_factory=list)
    """Deciding checks that the candidate has no value of."""

    @property
    def red(self) -> bool:
        """A loss is shown by a deciding check."""
        return any(one.deciding and one.outcome is Outcome.SHOWN for one in self.outcomes)

    @property
    def undecided(self) -> bool:
        """Not red, and a deciding check stayed open."""
        open_ones = any(o.deciding and o.outcome is Outcome.UNDECIDED for o in self.outcomes)
        return open_ones and not self.red

    def to_plain(self) -> dict[str, Any]:
        """As JSON has it."""
        found = plain(self)
        assert isinstance(found, dict)
        return found


def cell(fault: str, intended: Intended, images: int, number: int, comparison: Comparison) -> Cell:
    """What a comparison with the parent says of a fault."""
    return Cell(
        fault=fault,
        intended=intended,
        images=images,
        set=number,
        outcomes=[
            CheckOutcome(
                check=change.check,
                deciding=change.severity is Severity.ERROR,
                outcome=change.outcome,
                before=change.before,
                now=change.now,
                images_to_exclude=change.images_to_exclude,
                sentence=change.sentence,
            )
            for change in comparison.changes
        ],
        fed=[one.what for one in comparison.fed],
        mismatch=list(comparison.mismatch),
        gone=list(comparison.gone),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A fault on all sets of one size.

    Attributes:
        fault: its name.
        intended: what it is meant to be.
        images: of each set.
        sets: how many there are.
        red: on how many a loss was shown.
        undecided: on how many none was, and a deciding check stayed open.
        checks: by name, how often each outcome came up.
        needed: by name, images that would exclude a loss, the median of the sets that say so.
    """

    fault: str
    intended: Intended
    images: int
    sets: int
    red: int
    undecided: int
    checks: dict[str, dict[str, int]]
    needed: dict[str, int | None]


def rows(cells: Sequence[Cell]) -> Iterator[Row]:
    """Cells of one fault and one size together, in the order in which they come up."""
    groups: dict[tuple[str, int], list[Cell]] = {}
    for one in cells:
        groups.setdefault((one.fault, one.images), []).append(one)
    for (fault, images), group in groups.items():
        checks: dict[str, dict[str, int]] = {}
        needed: dict[str, list[int]] = {}
        for one in group:
            for seen in one.outcomes:
                counts = checks.setdefault(seen.check, {str(o): 0 for o in Outcome})
                counts[str(seen.outcome)] += 1
                if seen.images_to_exclude is not None:
                    needed.setdefault(seen.check, []).append(seen.images_to_exclude)
        yield Row(
            fault=fault,
            intended=group[0].intended,
            images=images,
            sets=len(group),
            red=sum(one.red for one in group),
            undecided=sum(one.undecided for one in group),
            checks=checks,
            needed={
                name: sorted(needed[name])[len(needed[name]) // 2] if name in needed else None
                for name in checks
            },
        )
