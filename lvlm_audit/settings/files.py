"""The files that a run writes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lvlm_audit.errors import UsageError
from lvlm_audit.settings.checking import checked, default
from lvlm_audit.settings.declared import FILES
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.writing import same_place

FORMATS = {"json": "json", "report": "html"}
"""The format of each setting that names one file; every other format is chosen by `write`."""


@dataclass(frozen=True, slots=True)
class Target:
    """One file that was asked for."""

    setting: str
    format: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class Files:
    """Where results go.

    Raises:
        UsageError: two results in one file.
    """

    report: Path | None = default(FILES, "report")
    json: Path | None = default(FILES, "json")
    write: tuple[tuple[str, Path], ...] = default(FILES, "write")

    def __post_init__(self) -> None:
        checked(self, FILES)
        declared = sorted(self.targets(), key=lambda target: [*FILES].index(target.setting))
        separate([(spelled(target.setting), target.path) for target in declared])

    def targets(self) -> tuple[Target, ...]:
        """Every file with its format; the document itself first."""
        own = [
            Target(setting, form, path)
            for setting, form in FORMATS.items()
            if (path := getattr(self, setting)) is not None
        ]
        return (*own, *(Target("write", form, path) for form, path in self.write))


def separate(paths: Sequence[tuple[str, Path]]) -> None:
    """Refuse two results in one place.

    Args:
        paths: of every result, with what asked for it.

    Raises:
        UsageError: two of them are the same file or folder.
    """
    for (one, here), (other, there) in itertools.combinations(paths, 2):
        if same_place(here, there):
            raise UsageError(f"{one} and {other} name the same file {str(there)!r}. Name two.")
