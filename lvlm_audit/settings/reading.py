"""How states are read and shown: lens, divergence and scaling, each by name, and sets of them that have a name.

docs/method.md#where-the-published-code-differs: the defaults are the correct ones, and each of the published
choices can be selected by itself or, as mode `paper`, together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

from lvlm_audit.errors import UsageError
from lvlm_audit.settings.checking import checked, default
from lvlm_audit.settings.declared import AUDIT
from lvlm_audit.settings.spelling import spelled

LensName = str
"""Of a lens in `lvlm_audit.lenses.registry`; `normed` and `raw` ship."""

DivergenceName = Literal["jsd", "paper_index"]
ScalingName = Literal["none", "paper"]


_READING = {name: AUDIT[name] for name in ("lens", "divergence", "scaling")}


@dataclass(frozen=True, slots=True)
class Mode:
    """How states are read and shown.

    Attributes:
        lens: `normed`, `raw` (the final norm at state L alone), or another registered one.
        divergence: `jsd` in bits, or `paper_index` in its own unit.
        scaling: `none`, or `paper`: heat maps with each transition by its own maximum over tokens.

    Raises:
        UsageError: a name that is not known.
    """

    lens: LensName = default(_READING, "lens")
    divergence: DivergenceName = default(_READING, "divergence")
    scaling: ScalingName = default(_READING, "scaling")

    def __post_init__(self) -> None:
        checked(self, _READING)


MODES: Mapping[str, Mode] = {"paper": Mode("raw", "paper_index", "paper")}


def choose(name: str | None = None, **said: str | None) -> Mode:
    """The mode of a run from its name and single choices; None stands for "not said".

    Args:
        name: of a mode.
        said: lens, divergence, scaling.

    Raises:
        UsageError: no mode of that name, or a choice that contradicts it.
    """
    if name is not None and name not in MODES:
        raise UsageError(f"{spelled('mode')} {name!r} is not one of {', '.join(MODES)}.")
    base = Mode() if name is None else MODES[name]
    made = {f.name: said.get(f.name) or getattr(base, f.name) for f in fields(Mode)}
    for field, value in made.items():
        if name is not None and value != getattr(base, field):
            raise UsageError(
                f"{spelled('mode', name)} means {spelled(field, getattr(base, field))}, but "
                f"{spelled(field, value)} was given too. Drop one of them."
            )
    return Mode(**made)  # type: ignore[arg-type]


def mode_name(mode: Mode) -> str:
    """The name of a mode; empty where it has none."""
    return next((name for name, known in MODES.items() if known == mode), "")
