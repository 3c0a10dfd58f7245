"""The findings of an audit's document as a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lvlm_audit.frames.tidy import frame

if TYPE_CHECKING:
    from lvlm_audit.document import Audit, Finding

_BY = "audit.findings_frame()"


def findings_frame(audit: Audit, *, by_image: bool = False) -> Any:
    """One row a finding, or one row a finding and image.

    Columns: `check`, `stage`, `severity`, `verdict`, `observed`, the interval's `low`, `high` and
    `confidence`, `op` and `bound` (observed op bound must hold; a description has none: empty and NaN),
    `unit`, and how many `images` and `tokens` count. By image: `check`, `image`, `value`, `unit`.

    Raises:
        UsageError: pandas is not installed.
    """
    if by_image:
        found = [
            (f.check, image, value, f.bound.unit)
            for f in audit.findings
            for image, value in f.per_image.items()
        ]
        names = ("check", "image", "value", "unit")
        return frame({name: [row[i] for row in found] for i, name in enumerate(names)}, _BY)
    rows = [_row(f) for f in audit.findings]
    return frame({name: [row[name] for row in rows] for name in _COLUMNS}, _BY)


_COLUMNS = (
    *("check", "stage", "severity", "verdict", "observed", "low", "high", "confidence"),
    *("op", "bound", "unit", "images", "tokens", "statement", "message"),
)


def _row(finding: Finding) -> dict[str, Any]:
    interval, bound = finding.interval, finding.bound
    nothing = float("nan")
    return {
        "check": finding.check,
        "stage": str(finding.stage),
        "severity": str(finding.severity),
        "verdict": str(finding.verdict),
        "observed": nothing if finding.observed is None else finding.observed,
        "low": nothing if interval is None else interval.low,
        "high": nothing if interval is None else interval.high,
        "confidence": nothing if interval is None else interval.confidence,
        "op": "" if bound.value is None else bound.op,
        "bound": nothing if bound.value is None else bound.value,
        "unit": bound.unit,
        "images": finding.n,
        "tokens": finding.eligible.tokens,
        "statement": finding.statement,
        "message": finding.message,
    }
