"""How right the answers are, by kind of question: counts of the document, with an interval by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lvlm_audit.document import AskedProbe, Interval

MAX_KINDS = 30
"""Rows that are shown."""
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class KindRow:
    """One kind of question."""

    kind: str
    asked: int
    known: int
    """Answers of which it is known whether they are right."""
    right: int
    interval: Interval | None
    """Of the share of right answers; None below 5 images."""
    words_found: int
    words_asked: int

    @property
    def share(self) -> float | None:
        """Of the answers that can be judged, those that are right."""
        return self.right / self.known if self.known else None


def by_kind(asked: Sequence[AskedProbe]) -> list[KindRow]:
    """A row for each kind, in the order in which they were asked; none where no probe has a kind."""
    if not any(one.kind for one in asked):
        return []
    kinds = dict.fromkeys(one.kind for one in asked)
    return [_row(kind, [one for one in asked if one.kind == kind]) for kind in kinds]


def _row(kind: str, asked: Sequence[AskedProbe]) -> KindRow:
    known = [one for one in asked if one.right is not None]
    return KindRow(
        kind=kind or "(no kind)",
        asked=len(asked),
        known=len(known),
        right=sum(bool(one.right) for one in known),
        interval=_interval(known),
        words_found=sum(one.words_found for one in asked),
        words_asked=sum(one.words_asked for one in asked),
    )


def _interval(known: Sequence[AskedProbe]) -> Interval | None:
    """Questions about one image are no independent evidence: images are resampled."""
    from lvlm_audit.statistics import MIN_IMAGES, cluster_mean

    images: dict[str, list[bool]] = {}
    for one in known:
        images.setdefault(one.cluster, []).append(bool(one.right))
    if len(images) < MIN_IMAGES:
        return None
    share = cluster_mean(
        [float(sum(each)) for each in images.values()],
        [float(len(each)) for each in images.values()],
        support=(0.0, 1.0),
        seed=0,
        is_share=True,
    )
    spread = share.spread(CONFIDENCE)
    return Interval(spread.low, spread.high, CONFIDENCE, spread.method)
