"""One audit against an earlier one: what decides, what is fed differently, and what merely moved."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from lvlm_audit.document.findings import Interval, Severity


class Outcome(StrEnum):
    """What is known of a loss against the baseline."""

    SHOWN = "shown"
    """A loss beyond the tolerance: red."""
    EXCLUDED = "excluded"
    """No such loss: green."""
    UNDECIDED = "undecided"
    NOT_COMPARED = "not compared"
    """The baseline has nothing to lose, or neither audit observed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One check of the regression family: this audit minus the baseline, paired by image."""

    check: str
    statement: str
    severity: Severity
    outcome: Outcome
    unit: str
    now: float | None
    before: float | None
    """Over the images that both have."""
    change: float | None
    interval: Interval | None
    """Of the change, at the level of the family."""
    limit: float | None
    """The tolerated change, in the unit and with its sign: -1.0 tolerates a fall of 1."""
    n: int
    """Images that are paired."""
    sentence: str
    """What happened, in words that need no knowledge of this tool."""
    lost: int | None = None
    """Of right answers: how many were right before and are no more."""
    gained: int | None = None
    images_to_exclude: int | None = None
    """About how many images would exclude a loss beyond the tolerance, if the values stay."""
    worst: list[str] = field(default_factory=list)
    """Ids of probes (at most 5) that changed most for the worse."""
    short: str = ""
    """The sentence in a few words, for a headline: "right answers fell from 20 to 9"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FedDifference:
    """Something that the two models are fed differently."""

    what: str
    """"processor: image_mean", "chat template", "generation: eos_token_id" ..."""
    here: str
    there: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedAnswer:
    """One probe that is answered otherwise than before."""

    id: str
    cluster: str
    before: str
    now: str
    token: int
    """Index of the first token that differs."""
    tie: bool
    """At that token both audits' margins lie within what rounding alone moves."""
    right_before: bool | None
    right_now: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedAnswers:
    """How many answers are others than before."""

    compared: int
    changed: int
    """Ties not counted."""
    ties: int
    floor: float | None
    """Margin below which a difference is a tie, bits; None: not measured, and there are no ties."""
    examples: list[ChangedAnswer]
    """Ties last; at most 50."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One observed value against the baseline's, paired by image: described, never judged."""

    check: str
    observed: float | None
    baseline: float | None
    difference: float | None
    interval: Interval | None
    """Simultaneous over all differences of the comparison."""
    n: int
    note: str
    unit: str = ""
    """Empty: the unit of the finding of this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedCurve:
    """How one curve over the depth differs from the baseline's: described, never judged."""

    name: str
    unit: str
    axis: str
    """"state", "transition", or "share of depth" where the depths differ."""
    at: list[float]
    difference: list[float | None]
    """Mean over images of this audit minus the baseline; None where no image has a value."""
    low: list[float | None]
    """Band that holds the whole curve at 95 %; None where it has no width to tell."""
    high: list[float | None]
    starts: float | None
    """First place at which the band leaves 0: where it starts; None: nowhere."""
    n: int
    """Images that are paired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A condition that differs, such as depth, dtype or machine: said, not refused."""

    what: str
    here: str
    there: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """This audit against an earlier one."""

    baseline_model: str
    baseline_created: str
    changes: list[Change] = field(default_factory=list)
    """The regression family."""
    fed: list[FedDifference] = field(default_factory=list)
    conditions: list[Named] = field(default_factory=list)
    answers: ChangedAnswers | None = None
    differences: list[Difference] = field(default_factory=list)
    mismatch: list[str] = field(default_factory=list)
    """What breaks the contract (other probes, lens, ...), in words; empty where the audits may be compared."""
    gone: list[str] = field(default_factory=list)
    """Deciding checks that were applicable in the baseline and are no more."""
    new: list[str] = field(default_factory=list)
    """Checks that the baseline does not have."""
    curves: list[MovedCurve] = field(default_factory=list)
    """Where in the depth the two differ; empty where a document does not hold its probes."""
    anchor: bool = False
    """The baseline is an anchor, which updating never moves."""
    note: str = ""
