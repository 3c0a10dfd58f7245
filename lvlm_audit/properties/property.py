"""What a property is, and how one is registered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from lvlm_audit.errors import CheckError

Values = npt.NDArray[np.float64]
Curve = npt.NDArray[np.floating[Any]]


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
