"""Faults: named, seeded damages of a model or of what it is fed, harmless ones among them.

What a suite catches is only known once it was shown models that are broken. Listing them imports no torch.
"""

from lvlm_audit.lazy import public

_HOMES = {
    "Fault": "lvlm_audit.faults.fault:Fault",
    "FAULTS": "lvlm_audit.faults.catalogue:FAULTS",
    "applied": "lvlm_audit.faults.applying:applied",
    "write": "lvlm_audit.faults.writing:write",
}

__all__ = [*_HOMES]  # noqa: PLE0604

__getattr__, __dir__ = public(__name__, _HOMES)
