"""What the stage finder says: readings per level, nodes per token, and the pattern's names."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lvlm_audit.statistics import Spread

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

NO_PATTERN = "no such pattern"
RISE_ONLY = "rise only"
RISE_AND_PLATEAU = "rise and plateau"
THREE_STAGES = "three stages"
FAN_OUT = "fan-out"
"""Of the feature level: tokens or images that lay close together spread at one state."""
INCONCLUSIVE = "inconclusive"
NOT_MEASURED = "not measured"

_WITH_CRITICAL = frozenset({RISE_ONLY, RISE_AND_PLATEAU, THREE_STAGES, FAN_OUT})


@dataclass(frozen=True, slots=True)
class NodeEstimate:
    """A node located on tokens and summarised over images.

    Attributes:
        state: median over images of per-image medians; None where no token has it.
        spread: bootstrap interval over images; the full range below 5 images.
        iqr: interquartile range over images, in states.
        undefined: share of tokens (feature level: of images) for which the node does not exist.
    """

    state: float | None
    spread: Spread | None
    iqr: float | None
    undefined: float


@dataclass(frozen=True, slots=True)
class LevelReading:
    """What one level of evidence says.

    Attributes:
        name: "probability", "distribution" or "feature".
        pattern: one of this module's names.
        evidence: what was seen, in words and numbers.
        onset: where the rise begins; None on the distribution level.
        critical: where knowledge takes shape.
        settle: where the rise is over; None on the distribution level.
        mutation_states: mutation layers, terminal transition apart; empty unless "three stages".
    """

    name: str
    pattern: str
    evidence: str
    onset: NodeEstimate | None = None
    critical: NodeEstimate | None = None
    settle: NodeEstimate | None = None
    mutation_states: tuple[int, ...] = ()

    @property
    def measured(self) -> bool:
        """Whether this level was looked at."""
        return self.pattern != NOT_MEASURED

    @property
    def critical_state(self) -> float | None:
        """The critical state if this level supports one: not below 5 images, not without a pattern."""
        if self.pattern not in _WITH_CRITICAL or self.critical is None:
            return None
        return self.critical.state


@dataclass(frozen=True, slots=True, eq=False)
class TokenNodes:
    """Nodes of every token, in the order of the rows that were given; NaN where undefined."""

    onset: Floats
    critical: Floats
    settle: Floats
    collapse: Floats
    """Critical state by the distribution level."""
    mutated: Bools
    """[N, S] states at which the token mutates; column L is the terminal transition."""


@dataclass(frozen=True, slots=True, eq=False)
class Stages:
    """The stages of a model as located on its answers.

    Attributes:
        blocks: L.
        by_level: readings under "probability", "distribution" and "feature".
        per_token: nodes of each eligible token.
        mutation_share: [S] share of tokens that mutate at each state; 0 at L, which is apart. On
            traces also 0 before the last quarter (docs/method.md#late-mutation).
        terminal_share: share of tokens that mutate at the terminal transition L-1 -> L.
        levels_agree: None unless two levels found a critical layer.
        leading: the level that `pattern`, `critical_layer` and `mutation_layers` quote.
    """

    blocks: int
    by_level: dict[str, LevelReading]
    per_token: TokenNodes
    mutation_share: Floats
    terminal_share: float | None
    levels_agree: bool | None
    leading: str = field(default="probability")

    @property
    def pattern(self) -> str:
        """The pattern of the leading level."""
        return self.by_level[self.leading].pattern

    @property
    def evidence(self) -> str:
        """The leading level's evidence, in words."""
        return self.by_level[self.leading].evidence

    @property
    def critical_layer(self) -> int | None:
        """State at which the rapid evolution ends, or None where there is no such pattern."""
        state = self.by_level[self.leading].critical_state
        return None if state is None else int(np.floor(state + 0.5))

    @property
    def mutation_layers(self) -> tuple[int, ...]:
        """States at which at least 10 % of tokens mutate, terminal transition not counted."""
        return self.by_level[self.leading].mutation_states
