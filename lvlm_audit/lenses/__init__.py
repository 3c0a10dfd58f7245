"""Lenses: how a state that is not the last is made ready for the head.

What a third party's lens needs is public here, and is resolved on first use.
"""

from lvlm_audit.lazy import public

_HOMES = {
    "Lens": "lvlm_audit.lenses.lens:Lens",
    "register_lens": "lvlm_audit.lenses.registry:register_lens",
    "unregister_lens": "lvlm_audit.lenses.registry:unregister_lens",
}

__all__ = [*_HOMES]  # noqa: PLE0604

__getattr__, __dir__ = public(__name__, _HOMES)
