"""What a kind of recording is: the one declaration that planner, engine, store, evidence and judge read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lvlm_audit.interventions.named import Skip
from lvlm_audit.traces.items import ITEMS

if TYPE_CHECKING:
    from lvlm_audit.recordings.job import Job

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """What a run asks for beside its checks; kinds say by it whether they are recorded.

    Attributes:
        states: hidden states are kept, for stages and report.
        compare_llm: every distinct prompt is asked without an image too.
        labels_read: a check reads labels, and probes have some.
        redecode: labelled probes are answered again under other decodings.
        compared: the audit will be held against another one.
    """

    states: bool = True
    compare_llm: bool = False
    labels_read: bool = False
    redecode: bool = False
    compared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kind(Generic[T_co]):
    """One kind of recording.

    Attributes:
        name: as needs, store keys and messages have it.
        item: the type of one item, marked as `stored`; the store writes its fields.
        make: records it, given what a job holds; imports torch only when it is called. None of a kind
            that is recorded `within` another.
        after: kinds that it is made of, or whose answers decide what it is.
        within: the kind whose recording holds it too, because they share a run.
        belongs: whether an item of that recording is of this kind.
        wanted: under which skip sets a run records it whatever the checks need; None stands for none.
        through_lens: whether a lens reads it; hidden states are what they are before any does.
        has_index: whether its items may hold the paper's index.
        absent: why there may be none, where the recording does not say so itself.
    """

    name: str
    item: type[T_co]
    make: Callable[[Job], Sequence[Any]] | None = field(default=None, repr=False)
    after: Sequence[str] = ()
    within: str = ""
    belongs: Callable[[Any], bool] = lambda _: True
    wanted: Callable[[Occasion], Iterable[Skip | None]] = lambda _: ()
    through_lens: bool = True
    has_index: bool = False
    absent: str = "nothing was recorded"

    def __post_init__(self) -> None:
        if ITEMS.get(self.item.__name__) is not self.item:
            raise TypeError(f"{self.item.__name__} of {self.name!r} is not marked as @stored")


ALWAYS: Sequence[Skip | None] = (None,)
"""What `Kind.wanted` says of a kind that is recorded, under no skip set."""
NEVER: Sequence[Skip | None] = ()


def when(condition: bool) -> Sequence[Skip | None]:
    """`ALWAYS` or `NEVER`."""
    return ALWAYS if condition else NEVER
