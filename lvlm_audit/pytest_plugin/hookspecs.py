"""Hooks that other plugins may implement. pytest loads this module in every run, so it is light."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lvlm_audit.document import Audit
    from lvlm_audit.traces.trace import Trace


@pytest.hookspec
def pytest_lvlm_recorded(
    config: pytest.Config, traces: Sequence[Trace], provenance: Mapping[str, Any]
) -> None:
    """Everything that the checks need is recorded, or was taken out of the store; no check has run yet.

    Called once a run that audits, of a series once a checkpoint; under xdist on the controller.

    Args:
        config: of the run.
        traces: the answers through the run's lens, in the order of the probes.
        provenance: how they were made: versions, fingerprints, settings, seconds.
    """


@pytest.hookspec
def pytest_lvlm_audit_finished(config: pytest.Config, audit: Audit) -> None:
    """The checks have run, the audit is concluded, and the files that were asked for are written.

    Called once a run that audits, of a series once a checkpoint; under xdist on the controller. Not called
    where the audit could not be concluded or written.

    Args:
        config: of the run.
        audit: the document.
    """
