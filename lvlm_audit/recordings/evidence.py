"""Evidence: everything recorded for one audit through one lens, read by kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Self, TypeVar, cast

from lvlm_audit.document import Audit
from lvlm_audit.interventions.named import Skip
from lvlm_audit.recordings.answers import ANSWERS
from lvlm_audit.recordings.effects import EFFECTS
from lvlm_audit.recordings.kind import Kind
from lvlm_audit.recordings.registry import KINDS
from lvlm_audit.settings.reading import LensName
from lvlm_audit.short_repr import ShortRepr
from lvlm_audit.traces.effects import EffectTrace
from lvlm_audit.traces.trace import Trace

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Recorded(ShortRepr, Generic[T_co]):
    """What was recorded of one kind.

    Attributes:
        items: in the order of the probes.
        reason: why some or all are missing, where it is known; else empty.
    """

    items: Sequence[T_co] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Evidence(ShortRepr):
    """Recordings of one set of probes.

    Attributes:
        lens: how states were read.
        recorded: by kind, and of effects by skip set.
        baseline: an earlier audit that this one is held against, if one was given.
    """

    lens: LensName
    recorded: Mapping[tuple[str, Skip | None], Recorded[Any]] = field(default_factory=dict)
    baseline: Audit | None = None

    @classmethod
    def of_items(
        cls,
        lens: LensName,
        items: Mapping[str, Iterable[Any]],
        *,
        effects: Mapping[Skip, Recorded[EffectTrace]] | None = None,
        baseline: Audit | None = None,
    ) -> Self:
        """Evidence from items by the name of their kind.

        Args:
            lens: how states were read.
            items: by kind; kinds that are recorded within another are told apart.
            effects: by skip set.
            baseline: an earlier audit.

        Raises:
            KeyError: no kind of that name.
        """
        recorded: dict[tuple[str, Skip | None], Recorded[Any]] = {}
        for name, some in items.items():
            recorded |= split(name, tuple(some), {})
        for skip, one in (effects or {}).items():
            recorded[EFFECTS.name, skip] = one
        return cls(lens, recorded, baseline)

    def of(self, kind: Kind[T], under: Skip | None = None) -> Sequence[T]:
        """The items of a kind; of effects, those under a skip set."""
        return cast(Sequence[T], self.named(kind.name, under).items)

    def named(self, kind: str, under: Skip | None = None) -> Recorded[Any]:
        """What was recorded of a kind, by its name."""
        return self.recorded.get((kind, under), Recorded())

    def why_none(self, kind: str, under: Skip | None = None) -> str:
        """Why there is no item of a kind: what was said while recording, else what may be."""
        return self.named(kind, under).reason or KINDS[kind].absent

    @property
    def traces(self) -> Sequence[Trace]:
        """The answers, one for each probe, in order."""
        return self.of(ANSWERS)

    @property
    def effects(self) -> Mapping[Skip, Recorded[EffectTrace]]:
        """Of each skip set that was asked for."""
        return {
            skip: one
            for (kind, skip), one in self.recorded.items()
            if kind == EFFECTS.name and skip is not None
        }


def split(
    name: str, items: Sequence[Any], reasons: Mapping[str, str], skip: Skip | None = None
) -> dict[tuple[str, Skip | None], Recorded[Any]]:
    """One recording as evidence: its own kind, and those that are recorded within it."""
    kinds = [KINDS[name], *(kind for kind in KINDS.values() if kind.within == name)]
    return {
        (kind.name, skip): Recorded(
            tuple(i for i in items if kind.belongs(i)), reasons.get(kind.name, "")
        )
        for kind in kinds
    }
