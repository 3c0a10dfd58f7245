"""Suite: the checks that a folder of check_*.py files declares."""

from __future__ import annotations

import dataclasses
import runpy
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from lvlm_audit.errors import CheckError, LvlmAuditError
from lvlm_audit.spec.check import Check
from lvlm_audit.spec.files import PATTERN, check_files, is_check_file


@dataclass(frozen=True, slots=True)
class CheckFile:
    """One file of checks.

    Attributes:
        path: the file.
        checks: in order of declaration, with `name` and `source` set.
        opt_in: it takes part only when it is asked for by name (`OPT_IN = True` in the file).
    """

    path: Path
    checks: tuple[Check, ...]
    opt_in: bool


@dataclass(frozen=True, slots=True)
class Suite:
    """A declared family of checks: the unit that verdicts are corrected over.

    Attributes:
        name: for the report.
        checks: all of them.
    """

    name: str
    checks: tuple[Check, ...]

    def __post_init__(self) -> None:
        seen: dict[str, str] = {}
        for check in self.checks:
            if check.name in seen:
                raise CheckError(
                    f"two checks are named {check.name!r} ({seen[check.name]} and {check.source}). "
                    f"Rename one: findings are told apart by name."
                )
            seen[check.name] = check.source


def load_file(path: Path) -> CheckFile:
    """Run one check file and collect what it declares.

    Raises:
        CheckError: the file raises, or declares no check.
    """
    try:
        # The file is code that the user asked to run, as any test file is.
        namespace = runpy.run_path(str(path))
    except LvlmAuditError as error:
        raise CheckError(f"{path.name}: {error}") from error
    except (Exception, SystemExit) as error:
        hint = "A check file declares Check objects at its top level."
        if isinstance(error, ImportError) and error.name == "lvlm_audit":
            hint = "Metrics are in lvlm_audit.metrics, properties in lvlm_audit.properties."
        raise CheckError(
            f"{path.name} cannot be loaded: {type(error).__name__}: {error}. {hint}"
        ) from error
    checks = tuple(
        dataclasses.replace(value, name=name, source=path.name)
        for name, value in namespace.items()
        if isinstance(value, Check)
    )
    if not checks:
        raise CheckError(
            f"{path.name} declares no Check. Assign at least one to a name at its top level."
        )
    return CheckFile(path, checks, bool(namespace.get("OPT_IN", False)))


def load_family(files: Iterable[Path], folders: Iterable[Path] = ()) -> Suite:
    """The family that some check files belong to: every file of their folders, opt-in ones only if named.

    Naming one file on the command line therefore changes no verdict. Files that do not import
    lvlm_audit are somebody else's and take no part.

    Args:
        files: named check files.
        folders: more folders of check files.

    Raises:
        CheckError: a file cannot be loaded, or two checks share a name.
    """
    named = [Path(f).resolve() for f in files]
    homes = sorted({f.parent for f in named} | {Path(f).resolve() for f in folders})
    checks: list[Check] = []
    for folder in homes:
        for path in check_files(folder):
            loaded = load_file(path)
            if not loaded.opt_in or path in named:
                checks.extend(loaded.checks)
    return Suite("+".join(f.name for f in homes), tuple(checks))


def shipped_folder() -> Path:
    """Where the shipped suites lie: inside the wheel, or `checks/` in a working copy.

    Raises:
        CheckError: neither exists; the installation is damaged.
    """
    package = Path(__file__).parent.parent
    for folder in (package / "suites", package.parent / "checks"):
        if check_files(folder):
            return folder
    raise CheckError(
        f"the shipped checks are missing from {str(package)!r}: the installation is damaged. "
        f"Reinstall lvlm-audit."
    )


def suite(name: str = "default") -> Suite:
    """A shipped suite: "default", or an opt-in file by its name, e.g. "paper".

    Raises:
        CheckError: there is no such suite.

    Example:
        >>> [check.name for check in lvlm_audit.suite("paper").checks][:2]
        ['paper_rise', 'paper_plateau']
    """
    folder = shipped_folder()
    files = [load_file(p) for p in check_files(folder)]
    if name == "default":
        return Suite(name, tuple(c for f in files if not f.opt_in for c in f.checks))
    for file in files:
        if file.path.stem == f"check_{name}":
            return Suite(name, file.checks)
    raise CheckError(f"there is no suite {name!r}. Shipped suites: {', '.join(_names(files))}.")


def chosen_suite(which: str | Path | Suite) -> tuple[Suite, Collection[str] | None]:
    """The suite that a caller means, and which of its checks count; None: all.

    A file stands for its own checks, judged with the family of its folder, as on pytest's command line.

    Args:
        which: a suite, the name of a shipped one, or a folder or file of checks.

    Raises:
        CheckError: it is none of them, or a file cannot be loaded.
    """
    if isinstance(which, Suite):
        return which, None
    if isinstance(which, str) and which in _names(
        load_file(p) for p in check_files(shipped_folder())
    ):
        return suite(which), None
    path = Path(which).expanduser()
    if path.is_dir() and check_files(path):
        return load_family((), [path]), None
    if is_check_file(path):
        return load_family([path]), {check.name for check in load_file(path).checks}
    if path.exists():
        raise CheckError(
            f"{str(which)!r} holds no checks: files named {PATTERN} that import lvlm_audit."
        )
    if isinstance(which, Path) or len(path.parts) > 1:
        raise CheckError(
            f"there is no {str(which)!r}: name a suite, or a folder or file of checks."
        )
    return suite(which), None


def _names(files: Iterable[CheckFile]) -> list[str]:
    return ["default", *(f.path.stem.removeprefix("check_") for f in files)]
