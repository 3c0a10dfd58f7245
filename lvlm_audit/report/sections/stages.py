"""The stages of the model: a ribbon for every level of evidence, and the levels in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import Audit
from lvlm_audit.report.drawing.ribbon import Ribbon, band_words, ribbon, stage_starts
from lvlm_audit.report.sections.findings import FindingView


@dataclass(frozen=True, slots=True)
class Stages:
    """What the template reads."""

    name: ClassVar[str] = "stages"

    wide: Ribbon
    narrow: Ribbon
    level_words: list[str]
    by_token: FindingView | None
    """The check that compares levels token by token, which may come out otherwise than for the model."""


def section(audit: Audit, findings: Sequence[FindingView]) -> Stages:
    """Draw the stages, for a wide page and a narrow one."""
    starts, _ = stage_starts(audit.stages)
    return Stages(
        wide=ribbon(audit.stages, 1040),
        narrow=ribbon(audit.stages, 328),
        level_words=[
            band_words(starts) if level.name == "probability" and starts else ""
            for level in audit.stages.levels
        ],
        by_token=next(
            (v for v in findings if v.finding.declared.get("property") == "LevelGap"), None
        ),
    )
