"""What two audits are compared by, and which of their probes and images belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lvlm_audit.document import AskedProbe, Audit, Finding, ProbeReading, Rounding, Subject


class Compared(Protocol):
    """One of two audits: a document, or what will become one."""

    @property
    def subject(self) -> Subject:
        """Whom was asked."""

    @property
    def findings(self) -> Sequence[Finding]:
        """Of the whole declared family."""

    @property
    def asked(self) -> Sequence[AskedProbe]:
        """Every probe in short; empty in an old document."""

    @property
    def fed(self) -> Mapping[str, Mapping[str, Any]]:
        """What the model is fed beside the probes; empty in an old document."""

    @property
    def rounding(self) -> Rounding | None:
        """How far rounding alone moves the last margin."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """How it was made."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One of two audits, each part of it read once: what will become a document works its parts out anew."""

    subject: Subject
    findings: Sequence[Finding]
    asked: Sequence[AskedProbe]
    fed: Mapping[str, Mapping[str, Any]]
    rounding: Rounding | None
    provenance: Mapping[str, Any]
    probes: Sequence[ProbeReading] | None
    """Token by token; None where there is no document yet."""

    @classmethod
    def of(cls, side: Compared) -> Seen:
        """All that is compared of an audit."""
        seed = getattr(side, "seed", None)
        return cls(
            subject=side.subject,
            findings=side.findings,
            asked=side.asked,
            fed=side.fed,
            rounding=side.rounding,
            provenance=side.provenance if seed is None else {"seed": seed, **side.provenance},
            probes=side.probes if isinstance(side, Audit) else None,
        )


@dataclass(frozen=True, slots=True)
class Pair:
    """One probe, asked twice.

    Attributes:
        now: this audit's.
        before: the baseline's.
        tie: the answers differ first where rounding alone may have decided.
    """

    now: AskedProbe
    before: AskedProbe
    tie: bool = False

    @property
    def counted(self) -> AskedProbe:
        """What counts as this audit's: where rounding decided, the answer counts as it was."""
        return self.before if self.tie else self.now


def part(number: int, of: int) -> int:
    """How many of so many; a file may hold any number."""
    return max(0, min(number, of))


def paired(now: Sequence[AskedProbe], before: Sequence[AskedProbe]) -> list[Pair]:
    """Probes that both audits asked about the same image, in this audit's order."""
    then = {(probe.id, probe.cluster): probe for probe in before}
    return [
        Pair(probe, then[probe.id, probe.cluster])
        for probe in now
        if (probe.id, probe.cluster) in then
    ]


def images(side: Seen) -> set[str]:
    """The images of an audit; of an old document those that it shows or that some check counted."""
    if side.asked:
        return {probe.cluster for probe in side.asked}
    counted = {image for finding in side.findings for image in finding.per_image}
    return counted | {probe.cluster for probe in side.probes or ()}


def shared_images(now: Seen, before: Seen) -> set[str]:
    """Images that both audits asked about.

    Where both were asked the same probes, an image that an old document does not count any more was asked
    all the same.
    """
    keys = [side.provenance.get("probes") for side in (now, before)]
    one, other = images(now), images(before)
    return one | other if isinstance(keys[0], str) and keys[0] == keys[1] else one & other


def probes_of(side: Seen, clusters: Sequence[str]) -> list[str]:
    """Ids of the probes about some images, in the order of the images."""
    by_image: dict[str, list[str]] = {}
    for probe in side.asked:
        by_image.setdefault(probe.cluster, []).append(probe.id)
    return [probe for cluster in clusters for probe in by_image.get(cluster, ())]
