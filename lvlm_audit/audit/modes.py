"""Modes of reading: lens, divergence and scaling, each by name, and sets of them that have a name.

docs/method.md#where-the-published-code-differs: the defaults are the correct ones, and each of the published
choices can be selected by itself or, as mode `paper`, together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from lvlm_audit.errors import UsageError
from lvlm_audit.traces.trace import DIVERGENCES, LENSES, DivergenceName, LensName

ScalingName = Literal["none", "paper"]
SCALINGS: tuple[ScalingName, ...] = get_args(ScalingName)


@dataclass(frozen=True, slots=True)
class Mode:
    """How states are read and shown.

    Attributes:
        lens: `normed`, or `raw` (the final norm at state L alone).
        divergence: `jsd` in bits, or `paper_index` in its own unit.
        scaling: `none`, or `paper`: heat maps with each transition by its own maximum over tokens.

    Raises:
        UsageError: a name that is not known.
    """

    lens: LensName = "normed"
    divergence: DivergenceName = "jsd"
    scaling: ScalingName = "none"

    def __post_init__(self) -> None:
        for option, value, known in (
            ("lens", self.lens, LENSES),
            ("divergence", self.divergence, DIVERGENCES),
            ("scaling", self.scaling, SCALINGS),
        ):
            if value not in known:
                raise UsageError(f"--lvlm-{option} {value!r} is not one of {', '.join(known)}.")


MODES: Mapping[str, Mode] = {"paper": Mode("raw", "paper_index", "paper")}


def choose(
    name: str | None,
    *,
    lens: LensName | None = None,
    divergence: DivergenceName | None = None,
    scaling: ScalingName | None = None,
) -> Mode:
    """The mode of a run from its name and single choices; None stands for "not said".

    Raises:
        UsageError: no mode of that name, or a choice that contradicts it.
    """
    said = {"lens": lens, "divergence": divergence, "scaling": scaling}
    if name is not None and name not in MODES:
        raise UsageError(f"--lvlm-mode {name!r} is not one of {', '.join(MODES)}.")
    base = Mode() if name is None else MODES[name]
    for field, value in said.items():
        if name is not None and value not in (None, getattr(base, field)):
            raise UsageError(
                f"--lvlm-mode {name} means --lvlm-{field} {getattr(base, field)}, but --lvlm-{field} "
                f"{value} was given too. Drop one of them."
            )
    return Mode(
        lens=lens or base.lens,
        divergence=divergence or base.divergence,
        scaling=scaling or base.scaling,
    )


def mode_name(mode: Mode) -> str:
    """The name of a mode; empty where it has none."""
    return next((name for name, known in MODES.items() if known == mode), "")
