"""Checks that are expected to fail (`xfail`): pytest's word for it, and what a finding makes of it."""

from __future__ import annotations

import pytest

from lvlm_audit.document import Expectation, Verdict
from lvlm_audit.pytest_plugin.status import PROPERTY

_STRICT = "[XPASS(strict)] "


def note_expectation(report: pytest.TestReport) -> None:
    """Call a check that did not pass failed as expected, also where it would not have failed the run.

    pytest knows only that nothing was raised. A check that merely warns, is undecided or does not apply
    raises nothing, and is no unexpected pass.
    """
    verdict = str(dict(report.user_properties).get(PROPERTY, "")).rpartition(":")[2]
    reason = _unexpected(report)
    if reason is not None and verdict != Verdict.PASS:
        report.outcome = "skipped"
        report.longrepr = None
        report.wasxfail = reason


def expectation_of(report: pytest.TestReport) -> tuple[Expectation, str] | None:
    """What became of a check that was expected to fail, and why it was expected; None: it was not."""
    if report.skipped and hasattr(report, "wasxfail"):
        return Expectation.FAILED, str(report.wasxfail)
    reason = _unexpected(report)
    if reason is None:
        return None
    return (Expectation.PASSED if report.passed else Expectation.MUST_FAIL), reason


def _unexpected(report: pytest.TestReport) -> str | None:
    """The reason of an expectation that was not met; None where there is none or it was met."""
    if report.passed and hasattr(report, "wasxfail"):
        return str(report.wasxfail)
    said = report.longrepr
    if report.failed and isinstance(said, str) and said.startswith(_STRICT):
        return said.removeprefix(_STRICT)
    return None
