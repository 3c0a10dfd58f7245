"""Two first uses of an audit: blocks nominated for removal, tokens that reverse late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import Audit, Uses


@dataclass(frozen=True, slots=True)
class UsesView:
    """What the template reads."""

    name: ClassVar[str] = "uses"

    uses: Uses


def section(audit: Audit) -> UsesView:
    """The lists as they stand in the document; the template cuts them."""
    return UsesView(audit.uses)
