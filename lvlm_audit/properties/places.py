"""Where on a token's curve a property looks, and what curves it can be held against."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from lvlm_audit.errors import CheckError
from lvlm_audit.metrics.nodes import CRITICAL, SETTLE, sustained_from
from lvlm_audit.properties.property import Curve, Values
from lvlm_audit.traces.trace import Trace

Place = Literal["critical", "settle", "last"]


def known_place(place: str) -> None:
    """Refuse a place that is none.

    Raises:
        CheckError: it is not one of `Place`.
    """
    if place not in get_args(Place):
        raise CheckError(f"{place!r} is not a place; use one of {', '.join(get_args(Place))}.")


def require_axis(axis: str, curve: Curve, size: int, what: str) -> None:
    """Refuse a metric whose curve does not run over what the property reads it along.

    Raises:
        CheckError: it has another length.
    """
    if curve.ndim != 2 or curve.shape[1] != size:
        raise CheckError(
            f"{what} needs a curve over {size} {axis}, not {curve.shape}. Use another metric."
        )


def node_of(trace: Trace, place: Place) -> Values:
    """A node of every token of a trace, on its nucleus mass."""
    if place == "last":
        return np.full(trace.tokens, float(trace.blocks))
    return sustained_from(trace.nucleus_mass, CRITICAL if place == "critical" else SETTLE)


def trace_of(recording: Any, what: str) -> Trace:
    """A recording of answers.

    Raises:
        CheckError: it is of another kind.
    """
    if not isinstance(recording, Trace):
        raise CheckError(
            f"{what} reads a model's own answers, not a {type(recording).__name__}. "
            f"Use a metric that needs answers."
        )
    return recording
