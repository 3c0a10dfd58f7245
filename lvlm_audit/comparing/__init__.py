"""One audit against another, from documents only: what decides, what is fed differently, what merely moved."""

from lvlm_audit.comparing.against import compare, completed, earlier, with_comparison
from lvlm_audit.comparing.sides import Compared

__all__ = ["Compared", "compare", "completed", "earlier", "with_comparison"]
