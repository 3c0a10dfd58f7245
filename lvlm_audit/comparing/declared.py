"""What a finding's declaration says about a baseline: what is measured, and how much may be lost."""

from __future__ import annotations

from typing import Any

from lvlm_audit.document import Finding
from lvlm_audit.statistics import Tolerance

RATES = frozenset({"images", "tokens", "answers", "difference"})
_MEASURED = ("metric", "property", "parameters", "tokens", "lens", "against", "under")


def has_tolerance(finding: Finding) -> bool:
    """Whether a check belongs to the regression family."""
    return _size(finding) is not None


def may_rise(finding: Finding) -> bool:
    """Whether more of it is worse."""
    return finding.declared.get("max_rise") is not None


def tolerance_of(finding: Finding) -> Tolerance:
    """How much may be lost, of values of which less is worse.

    Raises:
        ValueError: the document declares no tolerance, or one that tolerates nothing.
    """
    size = _size(finding)
    if size is None:
        raise ValueError(f"{finding.check} declares no tolerance")
    if kind_of(finding) == "share":
        return Tolerance.rise(size) if may_rise(finding) else Tolerance.drop(size)
    return Tolerance.points(size)


def kind_of(finding: Finding) -> str:
    """What the tolerance is: "points" of a rate, a "share" of the baseline's value, or "absolute"."""
    return str(finding.declared.get("tolerance", "points" if of(finding) in RATES else "share"))


def size_of(finding: Finding) -> str:
    """The tolerance, as it is declared."""
    return f"{'max_rise' if may_rise(finding) else 'max_drop'} {_size(finding)}"


def of(finding: Finding) -> str:
    """How tokens become the observed value."""
    held = finding.declared.get("holds_for")
    return str(held.get("of", "")) if isinstance(held, dict) else ""


def metric_of(finding: Finding) -> str:
    """Name of what is measured."""
    return str(finding.declared.get("metric", ""))


def support_of(finding: Finding) -> tuple[float | None, float | None]:
    """Least and greatest value that can be observed; None: no end."""
    found = finding.declared.get("support")
    if isinstance(found, list) and len(found) == 2:
        low, high = (float(end) if isinstance(end, int | float) else None for end in found)
        return low, high
    return (0.0, 1.0) if of(finding) in RATES else (None, None)


def measures(finding: Finding) -> dict[str, Any]:
    """What has to be declared alike for two values to be of one thing."""
    return {name: finding.declared.get(name) for name in _MEASURED} | {"holds_for": of(finding)}


def _size(finding: Finding) -> float | None:
    for name in ("max_drop", "max_rise"):
        size = finding.declared.get(name)
        if isinstance(size, int | float) and not isinstance(size, bool) and size > 0:
            return float(size)
    return None
