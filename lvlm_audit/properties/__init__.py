"""Properties: what may hold of one token's curve. A check holds a metric against one of them.

A property sees a recording and the metric's curve for it, and returns one value a token: 1 or 0 where
the property is a statement, a number where it is a quantity, NaN where it does not apply. Depths are
detected nodes, never block numbers, so that one declaration serves models of any depth.
"""

from lvlm_audit.properties.property import (
    REGISTRY as REGISTRY,
)
from lvlm_audit.properties.property import (
    Context,
    Property,
    Quantity,
    Statement,
    register,
)
from lvlm_audit.properties.quantities import LevelGap, Value
from lvlm_audit.properties.statements import (
    Holds,
    Kept,
    LateMutation,
    Plateau,
    Rise,
    Saturates,
)

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
