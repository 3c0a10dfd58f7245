"""Classes of tokens compared: which settle, which mutate."""

from __future__ import annotations

from dataclasses import dataclass, field

from lvlm_audit.document.findings import Interval
from lvlm_audit.document.tokens import TokenClass


@dataclass(frozen=True, slots=True)
class ClassValue:
    """One measure of one class of tokens, and how content words differ from it."""

    kind: TokenClass
    tokens: int
    """Eligible tokens for which the measure exists."""
    images: int
    """Images with such tokens."""
    observed: float | None
    interval: Interval | None
    """Around `observed`, for this value alone; None where there is no token."""
    difference: float | None = None
    """Content words minus this class: mean over the images that have both."""
    difference_interval: Interval | None = None
    """Adjusted for all differences of the comparison (Holm)."""
    images_paired: int = 0
    differs: bool = False
    """Whether the whole interval of the difference lies on one side of zero."""


@dataclass(frozen=True, slots=True)
class ClassMeasure:
    """One measure for every class."""

    name: str
    unit: str
    """"share of tokens", "state" or "switches"."""
    meaning: str
    """What is counted, and over which tokens."""
    classes: list[ClassValue]


@dataclass(frozen=True, slots=True)
class ClassComparison:
    """Content, function, copied words and punctuation side by side."""

    tokens: dict[str, int]
    """Class -> eligible tokens."""
    measures: list[ClassMeasure]
    differences: list[str]
    """One plain sentence for each difference beyond its interval."""
    summary: str
    """One sentence: what differs, or that nothing does."""
    note: str
    """How the classes were told apart, and where that is not reliable."""
    excluded: dict[str, int] = field(default_factory=dict)
    """Reason -> tokens that no class counts."""
