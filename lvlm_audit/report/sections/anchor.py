"""The audit against its anchor, the baseline that updating never moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import Audit
from lvlm_audit.report.sections.comparison import AgainstView, view


@dataclass(frozen=True, slots=True)
class AgainstAnchor:
    """What the template reads."""

    name: ClassVar[str] = "anchor"

    view: AgainstView


def section(audit: Audit, anchors: Mapping[str, str]) -> AgainstAnchor | None:
    """Arrange the comparison; None where there is no anchor."""
    return None if audit.anchor is None else AgainstAnchor(view(audit, audit.anchor, anchors))
