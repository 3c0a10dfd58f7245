"""What an engine has to do: open the model, say what it is, and make one recording after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lvlm_audit.notes import Note
from lvlm_audit.recordings.job import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of the opened model.

    Attributes:
        subject: as the document has it (`document.Subject`).
        notes: what of the checkpoint is not used, or used otherwise than it was given.
        fed: what it is fed beside the probes, by value, as the document has it (`document.Audit.fed`).
        machine: what computes: threads, processor, libraries, device, versions.
    """

    subject: Mapping[str, Any]
    notes: Sequence[Note] = ()
    fed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One recording.

    Attributes:
        items: in the order of the probes.
        reasons: why a kind has no item, by its name.
    """

    items: Sequence[Any]
    reasons: Mapping[str, str] = field(default_factory=dict)


class Engine(Protocol):
    """Whoever computes. Nothing is opened before it is needed."""

    def open(self) -> None:
        """Open the model, and fetch it if it is not on this machine; a second call does nothing.

        Raises:
            LvlmAuditError: as `models.opening.load`.
        """

    def facts(self) -> Facts:
        """What is known of the model; opens it."""

    def make(self, work: Work) -> Made:
        """Make one recording; opens the model.

        Raises:
            LvlmAuditError: probes cannot be asked, or the model fails on them; the others' are kept in the
                work's parts.
        """

    def close(self) -> None:
        """Give back what was opened here."""
