"""The geometry of hidden states: curves, the guitar as numbers, and two-dimensional pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

from lvlm_audit.document.findings import Interval
from lvlm_audit.document.stages import LayerSummary


@dataclass(frozen=True, slots=True)
class CommonStep:
    """Many images, one token: every image asked the same question, read at the same step.

    Angles are in half turns: 0 is the same direction, 0.5 orthogonal, 1 opposite.
    """

    prompt: str
    prefix: str
    """What the model was made to say before the step; empty for the first token of the answer."""
    images: int
    pattern: str
    """"fan-out", "no such pattern" or "inconclusive"."""
    evidence: str
    words: dict[str, int]
    """The token that the model predicts at the step -> images."""
    curves: list[LayerSummary]
    """Spread of the images (low and high: its interval over images), turning and CKA by state."""
    neck: float | None = None
    """Mean spread before the fan-out; null without one, as all that follows."""
    neck_interval: Interval | None = None
    body: float | None = None
    body_interval: Interval | None = None
    fan_out: int | None = None
    """First state of the body."""
    fan_out_interval: Interval | None = None
    support: float | None = None
    """Share of resamples of the images that fan out."""


@dataclass(frozen=True, slots=True)
class Plane:
    """One two-dimensional picture of states; only relative positions mean anything.

    Attributes:
        method: "PCA" or "t-SNE".
        note: how it was made, and how much of the variance it holds.
        x: [T][S] whole numbers from 0 to 1000, in the same scale as `y`.
        y: [T][S] whole numbers from 0 to 1000.
    """

    method: str
    note: str
    x: list[list[int]]
    y: list[list[int]]


@dataclass(frozen=True, slots=True)
class StateMap:
    """All states of some tokens, or of images at the common step, as pictures.

    Attributes:
        of: "tokens" (one image, many tokens) or "images" (many images, one token).
        probe: id of the probe, for tokens; the first one for images.
        labels: T tokens; for images those that the model predicts there.
        planes: the pictures.
    """

    of: str
    probe: str
    labels: list[str]
    planes: list[Plane]


@dataclass(frozen=True, slots=True)
class FeatureReading:
    """What the states themselves show, without a lens.

    Attributes:
        images: images whose answers' states were kept.
        tokens: eligible tokens of these answers.
        curves: spread of an answer's tokens, turning between neighbours, CKA; quartiles over images.
        continuity: share of states whose nearest neighbour is an adjacent state of the same token; mean
            over images.
        continuity_interval: its interval over images.
        continuity_chance: the share that chance would give; mean over images.
        common_step: many images, one token; None where it was not recorded.
        maps: pictures.
        note: what the reader must know to read it.
    """

    images: int
    tokens: int
    curves: list[LayerSummary]
    continuity: float | None
    continuity_interval: Interval | None
    continuity_chance: float | None
    common_step: CommonStep | None
    maps: list[StateMap] = field(default_factory=list)
    note: str = ""
