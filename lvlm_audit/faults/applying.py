"""Applying a fault to an opened model, and taking it back."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lvlm_audit.demo.assemble import PROVENANCE_FILE
from lvlm_audit.errors import LvlmAuditError, UnsupportedModel, UsageError
from lvlm_audit.faults.catalogue import FAULTS
from lvlm_audit.faults.change import Change
from lvlm_audit.faults.fault import Fault
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.opening import hook


@contextmanager
def applied(
    fault: Fault | str, hooked: HookedModel, *, seed: int = 0, written: bool = False
) -> Iterator[HookedModel]:
    """While entered, the model has the fault; on leaving it is as it was, to the bit.

    The model itself is changed, and what was changed is kept beside it meanwhile: a fault of all weights needs
    their space twice. `hooked` must not be used inside.

    Args:
        fault: one of `FAULTS`, or its name.
        hooked: an opened model.
        seed: of what is random in the fault.
        written: in the form that a checkpoint folder can hold.

    Yields:
        The same model with the fault, opened anew: its anatomy may be another.

    Raises:
        UsageError: no such fault, a fault of the demo model alone, or a package that is missing.
        UnsupportedModel: the model has no part that the fault concerns, or cannot be read with it.

    Example:
        >>> with lvlm_audit.faults.applied("projector zeroed", hooked) as blind:
        ...     print(blind.blocks)
        10
    """
    chosen = FAULTS.get(fault) if isinstance(fault, str) else fault
    if chosen.demo_only and not is_demo(hooked):
        raise UsageError(
            f"fault {chosen.name!r} is trained on drawn scenes, which only the demo model knows; "
            f"{hooked.name!r} is another one. Leave it out."
        )
    with ExitStack() as stack:
        change = Change(hooked, stack)
        damage = _found(chosen.written if written and chosen.written else chosen.damage)
        try:
            damage(change, seed, **chosen.how)
        except LvlmAuditError:
            raise
        except (AttributeError, KeyError, RuntimeError, ValueError) as error:
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UnsupportedModel(
                f"fault {chosen.name!r} cannot be put into {hooked.name}: {said}. Leave it out."
            ) from error
        named = f"{hooked.name} with {chosen.name}"
        again = hook(hooked.model, hooked.processor, name=named, sample=hooked.sample)
        stack.enter_context(again)
        yield again


def is_demo(hooked: HookedModel) -> bool:
    """Whether a model was read from the folder of the demo model."""
    return (Path(hooked.name) / PROVENANCE_FILE).is_file()


def _found(home: str) -> Any:
    module, _, name = home.partition(":")
    return getattr(importlib.import_module(module), name)
