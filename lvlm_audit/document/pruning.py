"""The pruning plan: which blocks each method nominates, which set is certified, and what it saves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lvlm_audit.document.saved import Saved
from lvlm_audit.notes import Note

PRUNING_SCHEMA = "lvlm_audit/pruning"
PRUNING_VERSION = 1


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss over the images of one half."""

    value: float
    low: float | None
    """Lower end of the interval; None: no limit can be given."""
    high: float | None
    """Upper end: the one-sided bound that is held against the budget; None: no limit can be given."""
    images: int
    method: str
    """How the interval was made."""


@dataclass(frozen=True, slots=True)
class NominatedSet:
    """The blocks that a method would remove first, as many as its place in the list."""

    blocks: list[int]
    loss: float
    """Measured on the nomination half."""


@dataclass(frozen=True, slots=True)
class Method:
    """What one method says."""

    method: str
    source: str
    definition: str
    unit: str
    scores: list[float | None]
    """[L], least first to go; empty where the method scores no single blocks or was not measured."""
    sets: list[NominatedSet]
    """Of size 1, 2, ..."""
    reason: str
    """Why it has no sets; empty otherwise."""


@dataclass(frozen=True, slots=True)
class CandidateSet:
    """The set of one size that went into certification."""

    blocks: list[int]
    methods: list[str]
    nomination: Loss
    certification: Loss
    certified: bool
    """Its bound and those of all smaller sizes lie within the budget."""


@dataclass(frozen=True, slots=True)
class Savings:
    """What is saved without the certified blocks, measured with them really removed."""

    parameters: int
    """Of the whole model, shared ones once."""
    parameters_saved: int
    bytes: int
    bytes_saved: int
    prefill: float | None
    """Time to the first token over that of the whole model; None: not measured."""
    decode: float | None
    """Time of a further token over that of the whole model; None: not measured."""
    note: str
    """How it was timed, or why not."""


@dataclass(frozen=True, slots=True)
class AnswerPair:
    """One question of the certification half, answered by both."""

    probe: str
    prompt: str
    reference: str | None
    whole: str
    skipped: str
    same: bool


@dataclass(frozen=True, slots=True)
class Export:
    """The checkpoint that was written."""

    folder: str
    bytes: int
    difference: float
    """Largest difference of its logits from the skipped model's, on fresh pictures."""
    largest_logit: float
    steps: int
    """Steps that were compared."""


@dataclass(frozen=True, slots=True)
class PruningPlan(Saved):
    """Which blocks may go, and on what evidence."""

    CALLED = "a pruning plan"

    model: str
    probes: str
    """Where they came from."""
    measure: str
    definition: str
    unit: str
    budget: float
    confidence: float
    """One-sided, of the bound."""
    depth: int
    """L."""
    nomination_images: int
    nomination_probes: int
    certification_images: int
    certification_probes: int
    methods: list[Method]
    candidates: list[CandidateSet]
    """Of size 1, 2, ..."""
    certified: list[int]
    """Blocks that may go; empty: none."""
    verdict: str
    """In a sentence."""
    shown: list[int]
    """The set that answers and agreement are of: the certified one, or else the first candidate."""
    agreement: Loss | None
    """Share of questions that it answers with the same text, asked anew."""
    answers: list[AnswerPair]
    savings: Savings | None
    export: Export | None
    note: str
    """How it was made."""
    provenance: dict[str, Any]
    export_refused: str = ""
    """Why the checkpoint that was asked for was not written; else empty."""
    notes: list[Note] = field(default_factory=list)
    """What of the user's input was left out, or used otherwise than it was given."""
    schema: str = PRUNING_SCHEMA
    schema_version: int = PRUNING_VERSION
    schema_minor: int = 0
