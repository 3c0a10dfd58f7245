"""Properties that are a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lvlm_audit.metrics.collapse import sustained_collapse
from lvlm_audit.metrics.nodes import (
    value_at,
)
from lvlm_audit.properties.places import Place, known_place, node_of, require_axis, trace_of
from lvlm_audit.properties.property import Context, Curve, Quantity, Values, register


@register
@dataclass(frozen=True, slots=True)
class Value(Quantity):
    """The curve's value at a place.

    Attributes:
        at: a node of the token, or the last state.

    Example:
        >>> curve = lvlm_audit.metrics.token_probability.curve(trace)
        >>> context = lvlm_audit.properties.Context(settle=6.0)
        >>> lvlm_audit.properties.Value().observe(trace, curve, context).tolist()
        [0.8999999761581421, 0.8999999761581421, 0.8999999761581421, 0.8999999761581421]
    """

    at: Place = "last"

    def __post_init__(self) -> None:
        known_place(self.at)

    def observe(self, recording: Any, curve: Curve, context: Context) -> Values:
        """The value; NaN where the node or the curve is undefined."""
        if self.at == "last":
            return curve[:, -1].astype(np.float64)
        trace = trace_of(recording, "Value(at=node)")
        require_axis("states", curve, trace.blocks + 1, "Value(at=node)")
        return value_at(curve, node_of(trace, self.at))


@register
@dataclass(frozen=True, slots=True)
class LevelGap(Quantity):
    """Distance between a token's critical states by probability and by distribution, share of depth.

    Example:
        >>> lvlm_audit.properties.LevelGap()
        LevelGap()
    """

    unit: ClassVar[str] = "share of depth"
    """States over blocks."""
    support: ClassVar[tuple[float, float] | None] = (0.0, 1.0)

    def observe(self, recording: Any, curve: Curve, context: Context) -> Values:
        """|critical by nucleus mass - collapse of neighbour JSD| / L; NaN where one is missing."""
        trace = trace_of(recording, "LevelGap")
        gap = node_of(trace, "critical") - sustained_collapse(trace.divergence).state
        return np.abs(gap) / trace.blocks
