"""What a check's verdict is called in pytest's counts and lines."""

from __future__ import annotations

import pytest

from lvlm_audit.document import Verdict

PROPERTY = "lvlm_audit"
"""Of a report's user properties: severity, and where the check stands against what fails the run."""
CHECK = "lvlm_audit_check"
"""Of a report's user properties: the check's name."""
MEMBER = "lvlm_audit_checkpoint"
"""Of a report's user properties: which checkpoint of a series was checked; none where there is no series."""
UNDECIDED = "lvlm_audit_undecided"
"""Of a report's user properties: the check failed because it is undecided, and for no other reason."""
EXIT_UNDECIDED = 6
"""Exit code of a run in which nothing is red, and something is undecided that must not be."""


def status_of(report: pytest.TestReport) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """How a check's verdict is counted and shown where pass and fail do not say it."""
    properties = dict(report.user_properties)
    if hasattr(report, "wasxfail"):
        return None
    if report.when != "call" or report.outcome != "passed" or PROPERTY not in properties:
        return None
    _, verdict = str(properties[PROPERTY]).split(":")
    if verdict == Verdict.NOT_APPLICABLE:
        return "not applicable", "n", ("NOT APPLICABLE", {"yellow": True})
    if verdict == Verdict.INCONCLUSIVE:
        return "inconclusive", "i", ("INCONCLUSIVE", {"yellow": True})
    if verdict == Verdict.DESCRIBED:
        return "described", "d", ("DESCRIBED", {})
    if verdict == Verdict.FAIL:
        return "warned", "w", ("WARN", {"yellow": True})
    return None
