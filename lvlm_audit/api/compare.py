"""`lvlm_audit.compare`: one audit against another."""

from __future__ import annotations

from pathlib import Path

from lvlm_audit import comparing
from lvlm_audit.document import Audit, Comparison


def compare(
    audit: str | Path | Audit, baseline: str | Path | Audit, *, seed: int = 0
) -> Comparison:
    """Compares two audits: what was lost, what is fed differently, which answers changed, and what moved.

    What may not differ for the two to be compared is named in `mismatch`; nothing is refused here.

    Args:
        audit: a document, or the file of one.
        baseline: an earlier one.
        seed: of the resampling.

    Raises:
        DocumentError: a file that is no document.

    Example:
        >>> comparison = lvlm_audit.compare(audit, audit)
        >>> comparison.mismatch, comparison.fed, comparison.answers.changed
        ([], [], 0)
        >>> {difference.difference for difference in comparison.differences}
        {0.0}
    """
    one, other = (a if isinstance(a, Audit) else Audit.load(a) for a in (audit, baseline))
    return comparing.compare(one, other, seed=seed)
