"""Every probe with its answer, token by token."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lvlm_audit.document.tokens import TokenClass
from lvlm_audit.short_repr import ShortRepr


@dataclass(frozen=True, slots=True, repr=False)
class TokenReading(ShortRepr):
    """One generated token, layer by layer."""

    text: str
    id: int
    kind: TokenClass
    eligible: bool
    probability: list[float]
    """[S] lens probability of the emitted token."""
    nucleus: list[float]
    """[S] nucleus mass."""
    divergence: list[float]
    """[L] JSD between neighbouring states, bits."""
    leaders: list[str]
    """[S] text of the leading token."""
    leader_probability: list[float]
    """[S]"""
    grounding: list[float] | None
    """[S] JSD between its own image and another probe's, bits; None where not recorded."""
    onset: int | None
    critical: int | None
    settle: int | None
    saturation: int | None
    """Earliest state from which the leader no longer changes; None: never before the last state."""
    mutations: list[int]
    """States at which a settled leader was replaced late."""
    terminal_change: bool
    """The leader changes at the terminal transition."""
    rivals: list[dict[str, Any]] = field(default_factory=list)
    """Strongest other candidates, tokens that lead at some state from the critical layer on:
    {"text": str, "probability": [S]} (at most 3)."""
    paper_index: list[float] | None = None
    """[L] the published code's divergence between neighbouring states, nats per vocabulary entry;
    None where it was not recorded."""
    without_image: list[float] | None = None
    """[S] JSD between its own image and no image, bits; None where not recorded."""


@dataclass(frozen=True, slots=True, repr=False)
class ProbeReading(ShortRepr):
    """One probe: what was asked, what was answered, and how the answer formed."""

    id: str
    cluster: str
    prompt: str
    image: str | None
    """Thumbnail as a data URI; None for prepared probes."""
    reference: str | None
    answer: str
    labels: dict[str, Any]
    tokens: list[TokenReading]
    more_images: list[str] = field(default_factory=list)
    """Thumbnails of the images that were shown after the first."""
    prompt_tokens: int | None = None
    """Positions of the prompt; None: not recorded."""
    image_tokens: int | None = None
    """Those of them that hold image features; None: not recorded, or unknown for this model."""
