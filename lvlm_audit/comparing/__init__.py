"""One audit against another, from documents only: what decides, what is fed differently, what merely moved."""

from lvlm_audit.comparing.against import compare, completed, earlier, with_comparison
from lvlm_audit.comparing.decision import Decision, decide, decides
from lvlm_audit.comparing.sentence import verdict_sentence
from lvlm_audit.comparing.sides import Compared

__all__ = [
    "Compared",
    "Decision",
    "compare",
    "completed",
    "decide",
    "decides",
    "earlier",
    "verdict_sentence",
    "with_comparison",
]
