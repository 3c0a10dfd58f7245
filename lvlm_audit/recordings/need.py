"""One recording that has to exist: a kind, through a lens."""

from __future__ import annotations

from dataclasses import dataclass, field

from lvlm_audit.interventions.named import Skip
from lvlm_audit.settings.reading import LensName


@dataclass(frozen=True, slots=True)
class Need:
    """One recording that has to exist.

    Attributes:
        lens: how states are read.
        kind: the name of what is recorded (`recordings.registry`).
        skip: of effects: under which skip set.
        paper_index: answers hold `Trace.paper_index`. There is one recording of answers a lens, with it or
            without.
    """

    lens: LensName
    kind: str
    skip: Skip | None = None
    paper_index: bool = field(default=False, compare=False)
