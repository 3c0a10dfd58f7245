"""Where the stages lie, level by level, and the curves that show it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lvlm_audit.document.findings import Interval
from lvlm_audit.short_repr import ShortRepr

Axis = Literal["state", "transition"]


@dataclass(frozen=True, slots=True)
class Node:
    """A state on the way, located on tokens and summarised over images.

    Attributes:
        state: median over images of per-image medians; None where undefined.
        interval: bootstrap over images, None below 5 images' worth of evidence or when undefined.
        spread: interquartile range over images, in states.
        undefined: share of eligible tokens (feature level: of images) for which the node does not exist.
    """

    state: float | None
    interval: Interval | None
    spread: float | None
    undefined: float


@dataclass(frozen=True, slots=True)
class Level:
    """What one level of evidence says: "probability", "distribution" or "feature"."""

    name: str
    measured: bool
    pattern: str
    """"three stages", "rise and plateau", "rise only", "fan-out" (feature level), "no such pattern",
    "inconclusive" or "not measured"."""
    evidence: str
    """In words: what was seen that supports the pattern or speaks against it."""
    critical: Node | None = None
    onset: Node | None = None
    settle: Node | None = None
    mutation_states: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TerminalTransition:
    """The last transition against those before it, through one lens: what the lens itself does there.

    Attributes:
        lens: the lens.
        terminal: median JSD of transition L-1 over eligible tokens, bits.
        before: median over transitions 0..L-2 of the same, bits.
        largest_before: largest of these.
        tokens: eligible tokens.
    """

    lens: str
    terminal: float
    before: float
    largest_before: float
    tokens: int


@dataclass(frozen=True, slots=True)
class StageReading:
    """The stages of the model as located on its answers."""

    blocks: int
    pattern: str
    """The pattern of the leading level (probability), worded as in `Level.pattern`."""
    evidence: str
    critical_layer: int | None
    mutation_layers: list[int]
    mutation_share: list[float]
    """[S] share of eligible tokens that mutate at each state; the terminal state is apart."""
    terminal_share: float | None
    """Share of eligible tokens whose leader changes at the terminal transition L-1 -> L."""
    levels: list[Level]
    levels_agree: bool | None
    note: str
    """What the reader must know to read it (lens, caveats)."""
    terminal: list[TerminalTransition] = field(default_factory=list)
    """The last transition through each lens that was recorded, the run's first."""
    fall: Level | None = None
    """Whether neighbour divergence "falls and stays low": a shape, read beside the distribution level and not
    part of `levels`; None where it was not measured, or the document is older."""
    terminal_note: str = ""
    """What the lens does to the last transition, in words."""
    agreement: str = ""
    """Which levels were compared, by which rule, and whether they agree, in words."""
    late: str = ""
    """What is and is not called a mutation layer here, in words, and how many tokens mutate at all."""


@dataclass(frozen=True, slots=True, repr=False)
class LayerSummary(ShortRepr):
    """One curve over states or transitions, summarised over images (mean over tokens per image)."""

    name: str
    unit: str
    axis: Axis
    median: list[float | None]
    low: list[float | None]
    """First quartile over images."""
    high: list[float | None]
    """Third quartile over images."""
