"""Signals: one module each, one interface, a documented source. NumPy only; labels never come here."""

from lvlm_audit.hallucination.signals.evidence import TokenEvidence
from lvlm_audit.hallucination.signals.registry import BASELINE, register, signals, unregister
from lvlm_audit.hallucination.signals.signal import Signal

__all__ = ["BASELINE", "Signal", "TokenEvidence", "register", "signals", "unregister"]
