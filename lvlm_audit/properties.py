"""Properties: what may hold of one token's curve. A check holds a metric against one of them.

A property sees a recording and the metric's curve for it, and returns one value a token: 1 or 0 where
the property is a statement, a number where it is a quantity, NaN where it does not apply. Depths are
detected nodes, never block numbers, so that one declaration serves models of any depth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, cast, get_args

import numpy as np
import numpy.typing as npt

from lvlm_audit.errors import CheckError
from lvlm_audit.metrics.collapse import sustained_collapse
from lvlm_audit.metrics.nodes import (
    CRITICAL,
    SETTLE,
    downward_share,
    late_mutations,
    late_start,
    saturation,
    settled_run,
    standing,
    sustained_from,
    value_at,
)
from lvlm_audit.traces.trace import Trace

__all__ = [  # noqa: RUF022
    # What a check may demand of a metric's curve.
    "Holds",
    "Kept",
    "LateMutation",
    "LevelGap",
    "Plateau",
    "Rise",
    "Saturates",
    "Value",
    # To write one of your own.
    "Context",
    "Property",
    "Quantity",
    "Statement",
    "register",
]

Values = npt.NDArray[np.float64]
Curve = npt.NDArray[np.floating[Any]]
Place = Literal["critical", "settle", "last"]


@dataclass(frozen=True, slots=True)
class Context:
    """What a property may know beside the token itself.

    Attributes:
        settle: the model's settle state, located on the other half of the images
            (docs/method.md#two-halves-of-the-images); None where that half has none.

    Example:
        >>> lvlm_audit.properties.Context(settle=8.0).settle
        8.0
    """

    settle: float | None


class Property(Protocol):
    """What a check requires of a token's curve.

    Attributes:
        statement: whether the values are 1 (holds) and 0 (does not), or quantities.
        unit: of the values, where it is not the metric's.
        support: least and greatest value, where the unit is not the metric's.

    Example:
        >>> demand: lvlm_audit.properties.Property = lvlm_audit.properties.Rise()
        >>> demand.statement
        True
    """

    @property
    def statement(self) -> bool: ...

    @property
    def unit(self) -> str | None: ...

    @property
    def support(self) -> tuple[float, float] | None: ...

    def observe(self, recording: Any, curve: Curve, context: Context) -> Values:
        """One value for each token of the recording; NaN where the property does not apply."""
        ...


class Statement:
    """A property that holds of a token or does not: its values are 1 and 0.

    Example:
        >>> lvlm_audit.properties.Rise().statement
        True
    """

    __slots__ = ()
    statement: ClassVar[bool] = True
    unit: ClassVar[str | None] = None
    support: ClassVar[tuple[float, float] | None] = (0.0, 1.0)
    bounds_in: ClassVar[frozenset[str] | None] = None
    """Units that its own bounds can be in, so the metric's must be one of them; None: it has none."""


class Quantity:
    """A property that is a number, in the metric's unit unless it names its own.

    Example:
        >>> lvlm_audit.properties.Value().statement
        False
    """

    __slots__ = ()
    statement: ClassVar[bool] = False
    unit: ClassVar[str | None] = None
    support: ClassVar[tuple[float, float] | None] = None


PropertyType = type[Any]
REGISTRY: dict[str, PropertyType] = {}


def register(cls: PropertyType) -> PropertyType:
    """Make a property known by its class name, so that a declared suite can be read back.

    Raises:
        CheckError: another property has that name already.

    Example:
        >>> @lvlm_audit.properties.register
        ... class EndsHigh(lvlm_audit.properties.Statement):
        ...     def observe(self, recording, curve, context):
        ...         return (curve[:, -1] > 0.8).astype(float)
        >>> curve = lvlm_audit.metrics.token_probability.curve(trace)
        >>> EndsHigh().observe(trace, curve, None).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    if REGISTRY.setdefault(cls.__name__, cls) is not cls:
        raise CheckError(f"a property named {cls.__name__!r} is registered already; rename yours.")
    return cls


def _known_place(place: str) -> None:
    if place not in get_args(Place):
        raise CheckError(f"{place!r} is not a place; use one of {', '.join(get_args(Place))}.")


def _over(axis: str, curve: Curve, size: int, what: str) -> None:
    """Refuse a metric whose curve does not run over what the property reads it along."""
    if curve.ndim != 2 or curve.shape[1] != size:
        raise CheckError(
            f"{what} needs a curve over {size} {axis}, not {curve.shape}. Use another metric."
        )


def _place(trace: Trace, place: Place) -> Values:
    """A node of every token of a trace, on its nucleus mass."""
    if place == "last":
        return np.full(trace.tokens, float(trace.blocks))
    return sustained_from(trace.nucleus_mass, CRITICAL if place == "critical" else SETTLE)


def _trace(recording: Any, what: str) -> Trace:
    if not isinstance(recording, Trace):
        raise CheckError(
            f"{what} reads a model's own answers, not a {type(recording).__name__}. "
            f"Use a metric that needs answers."
        )
    return recording


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
        _known_place(self.until)

    def observe(self, recording: Any, curve: Curve, context: Context) -> Values:
        """1 where the token's curve rises, else 0."""
        trace = _trace(recording, "Rise")
        _over("states", curve, trace.blocks + 1, "Rise")
        node = _place(trace, self.until)
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
        trace = _trace(recording, "Plateau")
        _over("transitions", curve, trace.blocks, "Plateau")
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
        trace = _trace(recording, "LateMutation")
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
        trace = _trace(recording, "Saturates")
        with np.errstate(invalid="ignore"):
            return (saturation(trace.leader) < trace.blocks - 1).astype(np.float64)


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
        _known_place(self.at)

    def observe(self, recording: Any, curve: Curve, context: Context) -> Values:
        """The value; NaN where the node or the curve is undefined."""
        if self.at == "last":
            return curve[:, -1].astype(np.float64)
        trace = _trace(recording, "Value(at=node)")
        _over("states", curve, trace.blocks + 1, "Value(at=node)")
        return value_at(curve, _place(trace, self.at))


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
        trace = _trace(recording, "LevelGap")
        gap = _place(trace, "critical") - sustained_collapse(trace.divergence).state
        return np.abs(gap) / trace.blocks
