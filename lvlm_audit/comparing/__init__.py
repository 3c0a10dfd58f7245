"""One audit against another, from documents only: what decides, what is fed differently, what merely moved."""

from lvlm_audit.comparing.against import compare, earlier, with_comparison

__all__ = ["compare", "earlier", "with_comparison"]
