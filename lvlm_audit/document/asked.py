"""Every probe in short: what was answered, whether it was right, and how sure each token was."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedProbe:
    """One probe, whether or not the page draws it: what a later audit is compared with.

    `Audit.probes` holds the readings, layer by layer, of those that are drawn.
    """

    id: str
    cluster: str
    """The unit that statistics resample: normally the image, by its content."""
    kind: str = ""
    """Kind of question (`labels["kind"]`); empty: not said."""
    content: str = ""
    """Tells questions of one id apart: a digest of prompt, reference answer and labels; the image is what
    `cluster` names. Empty: not known."""
    answer: str
    tokens: list[int]
    """Ids of the generated tokens, the end of the sequence included when it was generated."""
    margins: list[float] = field(default_factory=list)
    """[T] bits by which the emitted token led the next one at the last state; empty: not recorded."""
    right: bool | None = None
    """Whether the whole answer is right; None: what would be right is not known."""
    words_asked: int = 0
    """Content words of the reference answer, each counted once."""
    words_found: int = 0
    """Those of them that the answer has."""
    labelled: int = 0
    """Words of the answer whose truth is known."""
    wrong: int = 0
    """Those of them that are wrong."""
    reference_bits: float | None = None
    """Surprisal of the reference answer under its own image, bits per content word; None: not recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounding:
    """How far rounding alone moves the last margin: the same tokens fed with other batches and threads."""

    floor: float
    """Largest difference of a margin between two of the runs, bits."""
    probes: int
    tokens: int
    runs: list[str]
    """What was varied: "batch of 1, 1 thread" ..."""
