"""A series: every checkpoint that a pattern finds, each held against one parent."""

from __future__ import annotations

import dataclasses
import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from lvlm_audit.errors import ModelNotFound, UsageError
from lvlm_audit.notes import Note
from lvlm_audit.settings.files import Files, separate
from lvlm_audit.settings.gate import Gate
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.visible import visible


@dataclass(frozen=True, slots=True)
class Member:
    """One checkpoint.

    Attributes:
        name: what tells it from the others: "step-100"; empty where there is no series.
        model: its folder, or whatever the run names where there is no series.
    """

    name: str
    model: str | None


@dataclass(frozen=True, slots=True)
class Series:
    """What a run audits.

    Attributes:
        members: in natural order; one without a name where the model is no pattern.
        notes: what the pattern finds and nobody can audit.
    """

    members: tuple[Member, ...]
    notes: tuple[Note, ...] = ()

    @property
    def several(self) -> bool:
        """Whether the model was named by a pattern, be it that it finds only one."""
        return bool(self.members[0].name)

    def refuse(self, gate: Gate) -> None:
        """A series has no one document that could become the baseline.

        Raises:
            UsageError: the gate would update one.
        """
        if self.several and gate.update_baseline:
            raise UsageError(
                f"{spelled('update_baseline')} writes one document in the baseline's place, and "
                f"{spelled('model')} is a pattern that audits {len(self.members)}. Drop it, or name one "
                f"checkpoint."
            )


def series_of(model: str | None, here: Path) -> Series:
    """The checkpoints that a model's name stands for.

    Args:
        model: as it was given; a pattern if it has glob characters and nothing of that very name is there.
        here: what relative paths are relative to.

    Raises:
        ModelNotFound: a pattern that finds no folder.
    """
    if model is None or not glob.has_magic(model) or (here / Path(model).expanduser()).exists():
        return Series((Member("", model),))
    # The folder itself may have glob characters in its name.
    found = glob.glob(str(Path(model).expanduser()), root_dir=here, recursive=True)
    folders = sorted((one for one in found if (here / one).is_dir()), key=_natural)
    if not folders:
        files = f" It finds {len(found)} that are no folders." if found else ""
        raise ModelNotFound(
            f"the pattern {model!r} finds no folder.{files} Check it, and quote it, so that no shell reads it."
        )
    rest = sorted((one for one in found if one not in folders), key=_natural)
    notes = [Note("model", f"{one!r} is no folder, and is not audited") for one in rest]
    return Series(tuple(map(Member, _names(folders), folders)), tuple(notes))


def files_of(files: Files, members: Sequence[Member]) -> list[Files]:
    """What is written of each member: "out.json" becomes "out-step-100.json".

    Raises:
        UsageError: two results in one file.
    """
    several = [_named(files, member) for member in members]
    if len(several) > 1:
        separate(
            [
                (f"{spelled(target.setting)} of {member.name}", target.path)
                for member, one in zip(members, several, strict=True)
                for target in one.targets()
            ]
        )
    return several


def _named(files: Files, member: Member) -> Files:
    if not member.name:
        return files

    def path(of: Path) -> Path:
        return of.with_name(f"{of.stem}-{member.name}{of.suffix}")

    return dataclasses.replace(
        files,
        report=None if files.report is None else path(files.report),
        json=None if files.json is None else path(files.json),
        write=tuple((form, path(of)) for form, of in files.write),
    )


def _natural(path: str) -> tuple[list[tuple[int, int, str]], str]:
    """Numbers by their size, so that step-9 comes before step-100."""
    parts = re.split(r"([0-9]+)", path)
    return [(1, int(p), "") if p[:1].isdecimal() else (0, 0, p) for p in parts], path


def _names(folders: Sequence[str]) -> list[str]:
    """Of each folder the parts of its path that not all have: unique, and part of an id and a file's name."""
    parts = [PurePath(folder).parts for folder in folders]
    shared = [len(set(place)) == 1 for place in zip(*parts, strict=False)]
    names = []
    for of in parts:
        own = [p for i, p in enumerate(of) if i >= len(shared) or not shared[i]]
        names.append(visible("-".join(own or of[-1:])))
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        alike = " and ".join(repr(f) for f, n in zip(folders, names, strict=True) if n in twice)
        raise UsageError(
            f"the folders {alike} would have one name in this series. Rename one, or narrow the pattern."
        )
    return names
