"""What skipping blocks did to the answers: the causal check of the stages."""

from __future__ import annotations

from dataclasses import dataclass, field

from lvlm_audit.document.findings import Quantity


@dataclass(frozen=True, slots=True)
class SideBySide:
    """One answer of the whole model, and what is said when the question is asked without the blocks."""

    probe: str
    whole: str
    skipped: str


@dataclass(frozen=True, slots=True)
class BlockSet:
    """Blocks that were skipped for some of the images."""

    blocks: list[int]
    images: int


@dataclass(frozen=True, slots=True)
class SkipEffect:
    """One skip set and its effect."""

    name: str
    """ "skip.1", "skip.1 at the paper's depth", "blocks 3, 4"."""
    statement: str
    """What the set is, in words."""
    sets: list[BlockSet]
    """Nodes are located on one half of the images and the set is measured on the other, so that the two
    halves may have different ones. Empty where no set could be formed."""
    reason: str
    """Why a set could not be formed for some or all images; else empty."""
    images: int = 0
    tokens: int = 0
    """Eligible tokens of the whole model's answers."""
    kl: Quantity | None = None
    """Forward KL(whole || skipped), mean over tokens, bits a token."""
    divergence: Quantity | None = None
    """JSD, mean over tokens, bits."""
    leader_kept: Quantity | None = None
    """Share of tokens whose leading token is the same."""
    answers_kept: Quantity | None = None
    """Share of answers that are word for word the same when asked anew."""
    accuracy_whole: float | None = None
    """Share of answers that equal their reference, of the whole model; None without references."""
    accuracy_skipped: float | None = None
    accuracy_change: Quantity | None = None
    """Skipped minus whole, paired by image."""
    referenced: int = 0
    """Answers with a reference."""
    changed: list[SideBySide] = field(default_factory=list)
    """Answers that changed, at most 24."""
    changed_count: int = 0


@dataclass(frozen=True, slots=True)
class SkipReading:
    """Every skip set that was measured."""

    note: str
    effects: list[SkipEffect]
