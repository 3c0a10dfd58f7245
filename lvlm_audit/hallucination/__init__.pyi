"""The public names with their types."""

from lvlm_audit.hallucination.signals.evidence import TokenEvidence as TokenEvidence
from lvlm_audit.hallucination.signals.registry import register as register_signal  # noqa: F401
from lvlm_audit.hallucination.signals.signal import Signal as Signal
