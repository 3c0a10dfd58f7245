"""Properties that hold of a token or do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np

from lvlm_audit.metrics.nodes import (
    downward_share,
    late_mutations,
    late_start,
    saturation,
    settled_run,
    standing,
    value_at,
)
from lvlm_audit.properties.places import Place, known_place, node_of, require_axis, trace_of
from lvlm_audit.properties.property import Context, Curve, Statement, Values, register


@register
@dataclass(frozen=True, slots=True)
class Rise(Statement):
    """The curve rises up to a node: little downward movement, and a real gain.

    A token whose nucleus never settles has not risen: it counts as 0, not as "not applicable".

    Attributes:
        until: the token's node at which the rise must be over.
        max_downward: most of the total variation that may point down, from state 0 to the node.
        min_gain: least gain over state 0 (an all-zero curve does not rise), in the metric's unit.

    Example:
        >>> curve = lvlm_audit.metrics.token_probability.curve(trace)
        >>> context = lvlm_audit.properties.Context(settle=6.0)
        >>> lvlm_audit.properties.Rise().observe(trace, curve, context).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """

    bounds_in: ClassVar[frozenset[str] | None] = frozenset({"probability", "bits"})

    until: Place = "settle"
    max_downward: float = 0.25
    min_gain: float = 0.2

    def __post_init__(self) -> None:
        known_place(self.until)

    def observe(self, recording: Any, curve: Curve, context: Context) -> Values:
        """1 where the token's curve rises, else 0."""
        trace = trace_of(recording, "Rise")
        require_axis("states", curve, trace.blocks + 1, "Rise")
        node = node_of(trace, self.until)
        gain = value_at(curve, node) - curve[:, 0]
        with np.errstate(invalid="ignore"):
            holds = (downward_share(curve, node) <= self.max_downward) & (gain >= self.min_gain)
        return cast(Values, holds.astype(np.float64))


@register
@dataclass(frozen=True, slots=True)
class Plateau(Statement):
    """After the model's settle state the leader stays and neighbouring states stay close.

    The window runs from the settle state located on the other half of the images to state L-1: the
    terminal transition is reported apart. It must hold at least max(2, 0.1 L) transitions; a shorter
    one is not applicable, never a pass.

    Attributes:
        max_divergence: largest neighbour JSD on the plateau, bits.

    Example:
        >>> curve = lvlm_audit.metrics.neighbour_divergence.curve(trace)
        >>> context = lvlm_audit.properties.Context(settle=6.0)
        >>> lvlm_audit.properties.Plateau().observe(trace, curve, context).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """

    bounds_in: ClassVar[frozenset[str] | None] = frozenset({"bits"})

    max_divergence: float = 0.1

    def observe(self, recording: Any, curve: Curve, context: Context) -> Values:
        """1 where the token keeps its leader and its distribution, NaN where there is no window."""
        trace = trace_of(recording, "Plateau")
        require_axis("transitions", curve, trace.blocks, "Plateau")
        if context.settle is None:
            return np.full(trace.tokens, np.nan)
        start = int(np.ceil(context.settle))
        end = trace.blocks - 1
        if end - start < settled_run(trace.blocks):
            return np.full(trace.tokens, np.nan)
        leader = trace.leader[:, start : end + 1]
        still = (leader == leader[:, :1]).all(axis=1)
        close = (curve[:, start:end] <= self.max_divergence).all(axis=1)
        return cast(Values, (still & close).astype(np.float64))


@register
@dataclass(frozen=True, slots=True)
class LateMutation(Statement):
    """In the last quarter a settled leader is replaced by a clear margin (terminal state apart).

    Not applicable to a token whose leader never settles early enough to be overturned before the
    terminal state: what has not settled cannot mutate.

    Example:
        >>> curve = lvlm_audit.metrics.token_probability.curve(trace)
        >>> context = lvlm_audit.properties.Context(settle=6.0)
        >>> lvlm_audit.properties.LateMutation().observe(trace, curve, context).tolist()
        [0.0, 0.0, 0.0, 0.0]
    """

    def observe(self, recording: Any, curve: Curve, context: Context) -> Values:
        """1 where the token mutates late."""
        trace = trace_of(recording, "LateMutation")
        mutated = late_mutations(trace.leader, trace.candidate_ids, trace.candidate_probability)
        values = np.asarray(mutated[:, : trace.blocks].any(axis=1), dtype=np.float64)
        late, need = late_start(trace.blocks), settled_run(trace.blocks)
        able = np.zeros(trace.tokens, dtype=bool)
        if late < trace.blocks:
            # A run that is complete before the last usable state could have been overturned.
            stands = standing(trace.leader, trace.candidate_ids, trace.candidate_probability)
            for j in range(trace.blocks - need):
                run = trace.leader[:, j : j + need]
                able |= (run == run[:, :1]).all(axis=1) & stands[:, j : j + need].all(axis=1)
        values[~able] = np.nan
        return values


@register
@dataclass(frozen=True, slots=True)
class Saturates(Statement):
    """From some state before L-1 on the leading token no longer changes.

    Example:
        >>> curve = lvlm_audit.metrics.token_probability.curve(trace)
        >>> context = lvlm_audit.properties.Context(settle=6.0)
        >>> lvlm_audit.properties.Saturates().observe(trace, curve, context).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """

    def observe(self, recording: Any, curve: Curve, context: Context) -> Values:
        """1 where the leader is final before state L-1."""
        trace = trace_of(recording, "Saturates")
        with np.errstate(invalid="ignore"):
            return (saturation(trace.leader) < trace.blocks - 1).astype(np.float64)


@register
@dataclass(frozen=True, slots=True)
class Holds(Statement):
    """At the last state, or as the one value that there is, the curve is at least a value.

    Attributes:
        minimum: in the metric's unit.

    Example:
        >>> curve = lvlm_audit.metrics.token_probability.curve(trace)
        >>> context = lvlm_audit.properties.Context(settle=6.0)
        >>> lvlm_audit.properties.Holds().observe(trace, curve, context).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """

    minimum: float = 0.5

    def observe(self, recording: Any, curve: Curve, context: Context) -> Values:
        """1 where it is reached; NaN where the curve is undefined."""
        last = curve[:, -1].astype(np.float64)
        return np.where(np.isnan(last), np.nan, (last >= self.minimum).astype(np.float64))


@register
@dataclass(frozen=True, slots=True)
class Kept(Statement):
    """At the last state at least a share of the curve's peak is left.

    Attributes:
        share: of the peak.
        min_peak: a curve that stays below this, in the metric's unit, has nothing to keep: not
            applicable.

    Example:
        >>> curve = lvlm_audit.metrics.token_probability.curve(trace)
        >>> context = lvlm_audit.properties.Context(settle=6.0)
        >>> lvlm_audit.properties.Kept().observe(trace, curve, context).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """

    bounds_in: ClassVar[frozenset[str] | None] = frozenset({"probability", "bits"})

    share: float = 0.5
    min_peak: float = 0.05

    def observe(self, recording: Any, curve: Curve, context: Context) -> Values:
        """1 where the end keeps the share of the peak."""
        peak = curve.max(axis=1)
        values: Values = (curve[:, -1] >= self.share * peak).astype(np.float64)
        values[peak < self.min_peak] = np.nan
        return values
