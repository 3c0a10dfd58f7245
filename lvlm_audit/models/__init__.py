"""Whom we ask: names, opening a checkpoint, its anatomy, and the hooked model.

`HookedModel`, which `load` and `hook` give, is public here, and is resolved on first use.
"""

from lvlm_audit.lazy import public

_HOMES = {
    "HookedModel": "lvlm_audit.models.hooked:HookedModel",
}

__all__ = [*_HOMES]  # noqa: PLE0604

__getattr__, __dir__ = public(__name__, _HOMES)
