"""What a person asks a trace: who leads at a state, and a curve by its name. NumPy only."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from lvlm_audit.errors import TraceError

if TYPE_CHECKING:
    from lvlm_audit.traces.trace import Trace

UNITS = {
    "probability": "probability",
    "rank": "tokens before it",
    "divergence": "bits",
    "entropy": "bits",
    "kl_to_final": "bits",
    "jsd_to_final": "bits",
    "nucleus_mass": "probability",
    "distractor": "probability",
    "paper_index": "nats per vocabulary entry",
}
"""Curves of a trace: the field's name -> its unit."""


class Candidate(NamedTuple):
    """A token that a state holds to be probable.

    Attributes:
        text: as the vocabulary has it, its leading space included.
        id: in the vocabulary.
        probability: at that state.
    """

    text: str
    id: int
    probability: float


def top(trace: Trace, state: int, k: int | None) -> list[list[Candidate]]:
    """The most probable tokens of one state, for every generated token.

    Raises:
        TraceError: no such state, or more tokens than were kept.
    """
    states, kept = trace.top_ids.shape[1:]
    where = f"trace of probe {trace.asked.id!r}"
    if not -states <= state < states:
        raise TraceError(
            f"{where} has no state {state}: its states are 0 (embedding) to {states - 1} (output), or -1 "
            f"for the last."
        )
    wanted = kept if k is None else k
    if not 1 <= wanted <= kept:
        raise TraceError(
            f"{where} keeps the {kept} most probable tokens of a state, so k is 1 to {kept}, not {wanted}."
        )
    return [
        [
            Candidate(trace.vocabulary[int(i)], int(i), float(p))
            for i, p in zip(ids[:wanted], probabilities[:wanted], strict=True)
        ]
        for ids, probabilities in zip(
            trace.top_ids[:, state], trace.top_probs[:, state], strict=True
        )
    ]


def curve(trace: Trace, name: str) -> npt.NDArray[np.floating[Any]]:
    """One curve of every generated token.

    Raises:
        TraceError: no curve of that name, or it was not recorded.
    """
    if name not in UNITS:
        near = difflib.get_close_matches(name, UNITS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise TraceError(f"a trace has no curve {name!r}.{hint} It has {', '.join(UNITS)}.")
    if name == "paper_index":
        return trace.between_neighbours("paper_index")
    return cast("npt.NDArray[np.floating[Any]]", getattr(trace, name))
