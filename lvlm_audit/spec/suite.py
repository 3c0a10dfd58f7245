"""Suite: the checks that a folder of check_*.py files declares."""

from __future__ import annotations

import dataclasses
import runpy
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lvlm_audit.errors import CheckError, LvlmAuditError
from lvlm_audit.spec.check import Check
from lvlm_audit.spec.files import PATTERN, check_files, is_check_file


class Mark(NamedTuple):
    """One of pytest's marks, without what it marks."""

    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CheckFile:
    """One file of checks.

    Attributes:
        path: the file.
        checks: in order of declaration, with `name` and `source` set.
        opt_in: it takes part only when it is asked for by name (`OPT_IN = True` in the file).
        marks: pytest's marks of every check of the file (`pytestmark`).
        marked: pytest's marks of single checks, by name, the innermost first.
    """

    path: Path
    checks: tuple[Check, ...]
    opt_in: bool
    marks: tuple[Mark, ...] = ()
    marked: Mapping[str, tuple[Mark, ...]] = field(default_factory=dict)


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
        CheckError: the file raises, or declares no check, or marks one with what no check can do.
        BaseException: what pytest and unittest skip a whole module with (`skips`); left as it is.
    """
    try:
        # The file is code that the user asked to run, as any test file is.
        namespace = runpy.run_path(str(path))
    except LvlmAuditError as error:
        raise CheckError(f"{path.name}: {error}") from error
    except BaseException as error:
        outcome = _of_pytest(error, "skip", "fail")
        if skips(error) or not (isinstance(error, (Exception, SystemExit)) or outcome):
            raise
        hint = (
            "To skip the whole file, pass allow_module_level=True."
            if _of_pytest(error, "skip")
            else "A check file declares Check objects at its top level."
        )
        if isinstance(error, ImportError) and error.name == "lvlm_audit":
            hint = "Metrics are in lvlm_audit.metrics, properties in lvlm_audit.properties."
        raise CheckError(
            f"{path.name} cannot be loaded: {type(error).__name__}: {error}. {hint}"
        ) from error
    checks, marked = [], {}
    for name, value in namespace.items():
        check, marks = _unmarked(value)
        if check is not None:
            checks.append(dataclasses.replace(check, name=name, source=path.name))
            if marks:
                marked[name] = marks
    if not checks:
        raise CheckError(
            f"{path.name} declares no Check. Assign at least one to a name at its top level."
        )
    above = namespace.get("pytestmark", ())
    every = tuple(
        _mark(path.name, "pytestmark", one)
        for one in (above if isinstance(above, (list, tuple)) else (above,))
    )
    kept = {
        name: tuple(_mark(path.name, name, one) for one in marks) for name, marks in marked.items()
    }
    return CheckFile(path, tuple(checks), bool(namespace.get("OPT_IN", False)), every, kept)


def skips(error: BaseException) -> bool:
    """Whether a check file says by this that it is skipped: pytest.skip, importorskip, SkipTest."""
    if _of_pytest(error, "skip"):
        # As in pytest: a bare `skip()` at the top level is taken for a slip.
        return bool(getattr(error, "allow_module_level", False))
    kind = getattr(sys.modules.get("unittest"), "SkipTest", None)
    return kind is not None and isinstance(error, kind)


def _of_pytest(error: BaseException, *outcomes: str) -> bool:
    """Whether an error is one of pytest's outcomes, which are no `Exception`."""
    # Not imported here: a file that raises one has imported it.
    functions = [getattr(sys.modules.get("pytest"), name, None) for name in outcomes]
    kinds = [getattr(one, "Exception", None) for one in functions]
    return isinstance(error, tuple(kind for kind in kinds if kind is not None))


def _unmarked(value: Any) -> tuple[Check | None, tuple[Mark, ...]]:
    """A check, and the marks that it was given as `pytest.mark.skip(reason=...)(Check(...))`.

    pytest marks functions and classes; called with anything else, a mark keeps it as its last argument.
    """
    if isinstance(value, Check):
        return value, ()
    kind = getattr(sys.modules.get("pytest"), "MarkDecorator", None)
    if kind is None or not isinstance(value, kind) or not value.args:
        return None, ()
    check, marks = _unmarked(value.args[-1])
    if check is None:
        return None, ()
    return check, (*marks, Mark(value.name, value.args[:-1], value.kwargs))


def _mark(file: str, name: str, mark: Any) -> Mark:
    kind = getattr(mark, "name", None)
    if kind is None:
        raise CheckError(f"{file}: {name} holds {mark!r}, which is no mark of pytest.")
    if kind in ("parametrize", "usefixtures"):
        raise CheckError(
            f"{file}: {name} is marked with {kind!r}, but a check takes no arguments and no fixtures. "
            f"Declare one Check for each case."
        )
    return Mark(kind, tuple(mark.args), dict(mark.kwargs))


def load_family(files: Iterable[Path], folders: Iterable[Path] = ()) -> Suite:
    """The family that some check files belong to: every file of their folders, opt-in ones only if named.

    Naming one file on the command line therefore changes no verdict. Files that do not import
    lvlm_audit are somebody else's and take no part; nor do files that skip themselves.

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
            try:
                loaded = load_file(path)
            except BaseException as error:
                if not skips(error):
                    raise
                continue
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
