"""Hallucinated words: which they are, and how well each signal tells them from correct ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lvlm_audit.document.findings import Interval

Truth = Literal["hallucinated", "correct"]


@dataclass(frozen=True, slots=True)
class KindScore:
    """How well a signal tells one kind of hallucinated token from correct ones."""

    auroc: float | None
    """In [0, 1], 0.5 is chance; None where there is no token of a kind."""
    auroc_interval: Interval | None
    """None where `auroc` is; the full range where too few tokens or images decide nothing."""
    average_precision: float | None
    """In [0, 1]; chance is the base rate n_hallucinated / (n_hallucinated + n_correct)."""
    ap_interval: Interval | None
    n_hallucinated: int
    """Tokens of the kind with a value."""
    n_correct: int
    n_images: int
    note: str = ""
    """Why nothing is decided; empty otherwise."""


@dataclass(frozen=True, slots=True)
class SignalScore:
    """How well a signal tells hallucinated from correct tokens. Higher values are more suspicious."""

    name: str
    statement: str
    """What makes a token suspicious, in a sentence."""
    source: str
    auroc: float | None
    auroc_interval: Interval | None
    average_precision: float | None
    ap_interval: Interval | None
    n_hallucinated: int
    """Labelled tokens with a value."""
    n_correct: int
    n_images: int
    rate_on_correct: float | None
    """Share of correct tokens that are suspected: those above `threshold`."""
    rate_on_hallucinated: float | None
    """The same of hallucinated ones; without a threshold of its own a half, by construction."""
    threshold: float | None
    """The definition's own, or, where it sets none, the median of the hallucinated tokens, which then count
    as suspected from it on."""
    own_threshold: bool
    over_baseline: float | None = None
    """AUROC minus the baseline's on the same tokens; None for the baseline itself."""
    over_baseline_interval: Interval | None = None
    prior_driven: KindScore | None = None
    """Errors that the answer without the image shares, against correct tokens; None: not told apart."""
    misread: KindScore | None = None
    """The other errors, against correct tokens."""
    note: str = ""
    """Why nothing was measured or decided, or how many tokens have no value."""


@dataclass(frozen=True, slots=True)
class Leader:
    """A token that led at some state in a word's place."""

    text: str
    probability: list[float]
    """[S]"""


@dataclass(frozen=True, slots=True)
class LabelledToken:
    """One labelled token."""

    probe: str
    token: str
    position: int
    """In the answer, from 0."""
    truth: Truth
    expected: str | None
    """What would have been right, where the label says so."""
    prior_driven: bool | None
    signals: dict[str, float | None]
    """By name; None where not defined."""
    suspicion: float | None
    """The combination's rank of the token among those it was held out with, in (0, 1)."""
    state: int | None
    """From which the emitted token leads to the end; None where it never led, or always did."""
    before: str | None
    """Who led just before."""
    after: str | None
    leaders: list[Leader] | None = None
    """Of a hallucinated token: every other token that led at some state, before the critical layer too, the
    strongest first. What would have been right is among them if it ever led. None: not kept."""


@dataclass(frozen=True, slots=True)
class HallucinationReading:
    """Labelled tokens, and how well signals find the hallucinated ones among them."""

    scheme: str
    """Whose labels they are, and what they count as an error."""
    words: str
    """In words: what was seen."""
    images: int
    labelled: int
    """Eligible tokens with a label."""
    hallucinated: int
    base_rate: float | None
    """hallucinated / labelled."""
    base_rate_interval: Interval | None
    prior_driven: int | None
    """Hallucinated tokens that the answer without the image shares; None: not told apart."""
    not_eligible: int
    """Labelled tokens that do not count: they continue a word, or repeat their input."""
    baseline: str
    """Name of the signal that every other has to beat."""
    signals: list[SignalScore] = field(default_factory=list)
    combination: SignalScore | None = None
    """All measured signals together, cross-validated over images; None where it cannot be fitted."""
    tokens: list[LabelledToken] = field(default_factory=list)
