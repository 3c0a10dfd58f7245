"""The files that a run writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lvlm_audit.errors import UsageError
from lvlm_audit.settings.checking import checked, default
from lvlm_audit.settings.declared import FILES
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.writing import same_place


@dataclass(frozen=True, kw_only=True)
class Files:
    """Where results go.

    Raises:
        UsageError: two results in one file.
    """

    report: Path | None = default(FILES, "report")
    json: Path | None = default(FILES, "json")

    def __post_init__(self) -> None:
        checked(self, FILES)
        if self.report and self.json and same_place(self.report, self.json):
            raise UsageError(
                f"{spelled('report')} and {spelled('json')} name the same file {str(self.json)!r}. Name two."
            )
