"""Hallucinated tokens: which they are, what an answer is worth, and how well signals find them. NumPy only.

What a third party's signal needs is public here, and is resolved on first use.
"""

from lvlm_audit.lazy import public

_HOMES = {
    "Signal": "lvlm_audit.hallucination.signals.signal:Signal",
    "TokenEvidence": "lvlm_audit.hallucination.signals.evidence:TokenEvidence",
    "register_signal": "lvlm_audit.hallucination.signals.registry:register",
}

__all__ = [*_HOMES]  # noqa: PLE0604

__getattr__, __dir__ = public(__name__, _HOMES)
