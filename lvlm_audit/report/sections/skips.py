"""Skipping blocks: every set with what it did, and the answers that changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import Audit, SideBySide, SkipEffect
from lvlm_audit.report.differences import Run, side_by_side
from lvlm_audit.report.drawing.whisker import SmallWhisker, small_scale, small_whisker


@dataclass(frozen=True, slots=True)
class Changed:
    """One answer without and with the blocks, differences marked."""

    answer: SideBySide
    whole: list[Run]
    skipped: list[Run]


@dataclass(frozen=True, slots=True)
class SetView:
    """One skip set, ready to be drawn."""

    effect: SkipEffect
    kept: SmallWhisker | None
    changed: list[Changed]


@dataclass(frozen=True, slots=True)
class Skips:
    """What the template reads."""

    name: ClassVar[str] = "skips"

    note: str
    measured: list[SetView]
    missing: list[SkipEffect]
    """Sets that could not be formed."""


def section(audit: Audit) -> Skips | None:
    """None where no check asked for a skip set."""
    if audit.skips is None:
        return None
    effects = audit.skips.effects
    return Skips(
        audit.skips.note,
        [_view(one) for one in effects if one.sets],
        [one for one in effects if not one.sets],
    )


def _view(effect: SkipEffect) -> SetView:
    kept = effect.leader_kept
    return SetView(
        effect,
        None if kept is None else small_whisker(kept.value, kept.interval, small_scale(0.0, 1.0)),
        [Changed(one, *side_by_side(one.whole, one.skipped)) for one in effect.changed],
    )
