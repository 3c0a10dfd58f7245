"""What a check's verdict is called in pytest's counts and lines."""

from __future__ import annotations

import pytest

from lvlm_audit.document import Severity, Verdict

PROPERTY = "lvlm_audit"
"""Of a report's user properties: severity and verdict, as one string."""


def status_of(report: pytest.TestReport) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """How a check's verdict is counted and shown where pass and fail do not say it."""
    properties = dict(report.user_properties)
    if hasattr(report, "wasxfail"):
        return None
    if report.when != "call" or report.outcome != "passed" or PROPERTY not in properties:
        return None
    severity, verdict = str(properties[PROPERTY]).split(":")
    if verdict == Verdict.NOT_APPLICABLE:
        return "not applicable", "n", ("NOT APPLICABLE", {"yellow": True})
    if verdict == Verdict.INCONCLUSIVE:
        return "inconclusive", "i", ("INCONCLUSIVE", {"yellow": True})
    if verdict == Verdict.FAIL and severity == Severity.WARN:
        return "warned", "w", ("WARN", {"yellow": True})
    return None
