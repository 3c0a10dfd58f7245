"""A fault: a name, what it is in words, and where its code is. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Intended = Literal["healthy", "fault"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A named damage. Whether it is one in truth, a measurement says (docs/power.md), not its name.

    Attributes:
        name: unique.
        what: one sentence.
        intended: what it is meant to be.
        damage: "module:function"; called with a `Change` (`lvlm_audit.faults.change`) and the seed.
        how: further arguments, by name.
        batch_size: how many probes are asked at once; None: as usual.
        demo_only: it is trained on drawn scenes, which only the demo model knows.
        kept_in: "weights" (a checkpoint folder can hold it), or why none can.
        written: "module:function" of the same damage in a form that a checkpoint folder can hold.

    Example:
        >>> lvlm_audit.faults.FAULTS.get("projector zeroed").intended
        'fault'
    """

    name: str
    what: str
    intended: Intended
    damage: str
    how: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    batch_size: int | None = None
    demo_only: bool = False
    kept_in: str = "weights"
    written: str = ""
