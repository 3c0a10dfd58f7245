"""Adapters: how a third party teaches us a family that discovery cannot read.

An adapter is a function under the entry point group `lvlm_audit.families`:

    [project.entry-points."lvlm_audit.families"]
    my_family = "my_package:find_anatomy"

    def find_anatomy(model, inputs) -> Anatomy | None: ...

It gets the model and the keyword arguments of a short forward pass, and gives the model's `Anatomy`, or
None for a model that is not its. What runs between the last block and the head may be any module of its
own. Its answer is proved like any other, so that a wrong adapter is refused. None ships with us.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Any

from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.models.anatomy import Anatomy

GROUP = "lvlm_audit.families"


def adapted(model: Any, inputs: Mapping[str, Any]) -> Anatomy | None:
    """What the first installed adapter that knows the model finds; None if there is no such.

    Raises:
        UnsupportedModel: an adapter failed; the message names it.
    """
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            found: Anatomy | None = entry.load()(model, inputs)
        except UnsupportedModel:
            raise
        except Exception as error:
            raise UnsupportedModel(
                f"the adapter {entry.name!r} ({entry.value}), which is installed under {GROUP}, failed on "
                f"{type(model).__name__}: {type(error).__name__}: {error}. Mend or remove it."
            ) from error
        if found is not None:
            return replace(found, adapter=entry.name)
    return None
