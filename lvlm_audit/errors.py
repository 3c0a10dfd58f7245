"""Every error that a user can meet: what happened, to which value, what to do next.

The renderers (terminal, pytest, CLI) print the message alone, without a traceback, so a message must
stand by itself. Anything that is not a subclass of `LvlmAuditError` is a defect of this project.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class LvlmAuditError(Exception):
    """Base of all errors that are somebody's to mend, not ours.

    Example:
        >>> try:
        ...     lvlm_audit.suite("defualt")
        ... except lvlm_audit.LvlmAuditError as error:
        ...     print(str(error).split(".")[0])
        there is no suite 'defualt'
    """


class UsageError(LvlmAuditError):
    """An option, a setting or a path that cannot be used as given."""


class ModelNotFound(LvlmAuditError):
    """No checkpoint under that name, folder or alias."""


class DemoModelMissing(ModelNotFound):
    """The demo model was asked for and has not been assembled yet."""


class UnsupportedModel(LvlmAuditError):
    """The checkpoint opened, but its inside cannot be read reliably; the message says what was seen."""


class CannotRun(UnsupportedModel):
    """The model refuses the inputs it was tried on (text without an image, say); others may do."""


class ModelBroken(LvlmAuditError):
    """The weights themselves are unusable (NaN, infinite values, missing tensors)."""


class ProbeError(LvlmAuditError):
    """A probe or a probe file that cannot be asked: missing image, broken file, empty set."""


class TraceError(LvlmAuditError):
    """A trace whose arrays contradict each other, or a stored trace that cannot be read."""


class DamagedRecording(TraceError):
    """A stored recording that is not what was written: it can be set aside and recorded again."""


class RecordingError(LvlmAuditError):
    """The model could not be recorded on a probe; names the probe and the step."""


class ProbesFailed(RecordingError):
    """Some probes of a recording failed; all others were recorded, and are here.

    Attributes:
        failures: per failed probe its id and what was wrong, in the order of the probes.
        traces: what was recorded of the others, in the order of the probes. Empty when they were
            handed on one by one (`iter_record`).
    """

    def __init__(
        self, failures: Sequence[tuple[str, LvlmAuditError]], asked: int, traces: Sequence[Any] = ()
    ) -> None:
        self.failures = tuple(failures)
        self.asked = asked
        self.traces = tuple(traces)
        good = asked - len(failures)
        kept = f"What was recorded of the other {good} is kept. " if good else ""
        mark = " " if len(failures) == 1 else "\n- "
        super().__init__(
            f"{len(failures)} of {asked} probes could not be recorded:"
            + "".join(f"{mark}{_named(identity, error)}" for identity, error in failures)
            + (" " if len(failures) == 1 else "\n")
            + f"{kept}Mend or drop what failed, and run again."
        )


def _named(identity: str, error: LvlmAuditError) -> str:
    """The error with its probe, which errors about an image alone do not know."""
    text = str(error)
    return text if repr(identity) in text else f"probe {identity!r}: {text}"


class CheckError(LvlmAuditError):
    """A check that is declared wrongly or that could not run."""


class SignalError(LvlmAuditError):
    """A hallucination signal that is declared wrongly, or that gave no number a token."""


class CannotJudge(LvlmAuditError):
    """A gate that could decide nothing: with these probes, or between these two audits."""


class DocumentError(LvlmAuditError):
    """An audit document (JSON) that cannot be read: not ours, damaged, or from a newer version."""
