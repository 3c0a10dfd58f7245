"""Findings: what a check observed, and what that says about its bound."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

Op = Literal[">=", "<="]


class Verdict(StrEnum):
    """What an observation says about its bound."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "not applicable"
    DESCRIBED = "described"
    """No bound is declared: observed, and not judged."""


class Severity(StrEnum):
    """Whether a check decides the exit code.

    Example:
        >>> lvlm_audit.Severity.WARN.value
        'warn'
    """

    ERROR = "error"
    WARN = "warn"


class Expectation(StrEnum):
    """What became of a check that was expected to fail (pytest's `xfail`)."""

    FAILED = "failed as expected"
    PASSED = "passed unexpectedly"
    MUST_FAIL = "passed, but had to fail"
    """The expectation is strict: the run fails."""


class Stage(StrEnum):
    """The stage of knowledge evolution that a check speaks about.

    Example:
        >>> [stage.value for stage in lvlm_audit.Stage]
        ['rapid evolution', 'stabilization', 'mutation', 'whole answer']
    """

    RAPID_EVOLUTION = "rapid evolution"
    STABILIZATION = "stabilization"
    MUTATION = "mutation"
    WHOLE_ANSWER = "whole answer"


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: lower end.
        high: upper end.
        confidence: two-sided confidence level, e.g. 0.95.
        method: how it was made: "wilson", "cluster bootstrap and t", or "full range" below 5 images.
        adjusted: whether the level was widened for the family of checks (Holm).
    """

    low: float
    high: float
    confidence: float
    method: str
    adjusted: bool = False


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number over images with its interval; the field says of what."""

    value: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Bound:
    """What the observed value is held against: `observed op value`."""

    op: Op
    value: float | None
    """None of a description, which has no bound."""
    unit: str
    """"bits", "probability", "share of images", "share of tokens", "states", "share of depth" ..."""


@dataclass(frozen=True, slots=True)
class Eligibility:
    """How much evidence a finding counts, and why the rest is not counted."""

    images: int
    tokens: int
    images_recorded: int
    tokens_recorded: int
    excluded: dict[str, int]
    """Reason -> number of tokens."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's observation and its judgement."""

    check: str
    """Name, unique in the suite: `answer_forms`."""
    statement: str
    """What must hold, in words."""
    stage: Stage
    severity: Severity
    verdict: Verdict
    observed: float | None
    """None exactly when not applicable."""
    interval: Interval | None
    bound: Bound
    n: int
    """Images that count."""
    eligible: Eligibility
    message: str
    """One sentence in plain words: what was observed, why the verdict."""
    rationale: str
    """Why the bound is what it is; written before the audit."""
    declared: dict[str, Any]
    """The check exactly as declared: metric, property, parameters, tokens counted."""
    source: str
    """File that declares it, e.g. "check_rapid_evolution.py"."""
    images_to_decide: int | None = None
    """About how many images would decide an inconclusive finding, if the value stays."""
    per_image: dict[str, float] = field(default_factory=dict)
    """Observed value of each image (cluster), for pairing with a baseline."""
    counterexamples: list[str] = field(default_factory=list)
    """Ids of the probes that speak most against the statement, worst first (at most 5)."""
    expectation: Expectation | None = None
    """None: nobody expected it to fail."""
    expected_because: str = ""
    """The reason that the expectation gave."""
