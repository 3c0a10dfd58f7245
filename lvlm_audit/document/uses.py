"""A first look at what an audit is used for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Nomination:
    """A block that the plateau nominates for removal. Never certified by itself."""

    block: int
    """0-based."""
    influence: float
    """Median neighbour JSD over the block's transition, bits."""
    leader_kept: float
    """Share of eligible tokens whose leader the block leaves unchanged."""


@dataclass(frozen=True, slots=True)
class Reversal:
    """A token whose settled leader was replaced late."""

    probe: str
    token: str
    position: int
    state: int
    before: str
    """Leader before."""
    after: str
    margin: float


@dataclass(frozen=True, slots=True)
class Uses:
    """A first look at what an audit is used for, marked as uncertified."""

    removable: list[Nomination]
    removable_note: str
    reversals: list[Reversal]
    reversals_note: str
