"""What a run writes: chosen and checked before anything is recorded, written at its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lvlm_audit.document.saved import Saved
from lvlm_audit.errors import LvlmAuditError, UsageError
from lvlm_audit.settings.files import Files
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.writers.registry import WRITERS
from lvlm_audit.writers.writer import Writer


@dataclass(frozen=True, slots=True)
class Output:
    """One file, and who writes it."""

    writer: Writer
    path: Path


def outputs(files: Files, kind: type[Saved]) -> tuple[Output, ...]:
    """Who writes which file; the document itself first, so that it is there if another one fails.

    Args:
        files: as they were asked for.
        kind: class of the document that they will be written from.

    Raises:
        LvlmAuditError: there is no such format, it cannot hold this kind of document, or a path could
            not be written later.
    """
    found = []
    for target in files.targets():
        found.append(output(target.format, target.path, kind, spelled(target.setting)))
    return tuple(found)


def output(name: str, path: Path, kind: type[Saved], where: str) -> Output:
    """One of them, checked.

    Args:
        name: of the format.
        path: of the file.
        kind: class of the document.
        where: what asks for it, in messages.

    Raises:
        LvlmAuditError: as `outputs`.
    """
    if name not in WRITERS:
        raise UsageError(f"{where}: the format {WRITERS.unknown(name)}")
    writer = WRITERS.get(name)
    with _named(writer, path):
        kinds = writer.kinds
        if not issubclass(kind, kinds):
            able = ", ".join(w.name for w in WRITERS if issubclass(kind, w.kinds))
            raise UsageError(
                f"{where}: {name} cannot hold {kind.CALLED}, only "
                f"{' or '.join(k.CALLED for k in kinds)}. Choose one of {able}."
            )
        writer.check(path)
    return Output(writer, path)


def write_all(document: Saved, chosen: Iterable[Output]) -> Iterator[Path]:
    """Write every file; each path comes when its file is there.

    Raises:
        LvlmAuditError: some cannot be written; raised after all others are.
    """
    failed: list[LvlmAuditError] = []
    for one in chosen:
        try:
            with _named(one.writer, one.path):
                one.writer.write(document, one.path)
        except LvlmAuditError as error:
            failed.append(error)
        else:
            yield one.path
    if len(failed) == 1:
        raise failed[0]
    if failed:
        raise UsageError("\n".join(map(str, failed)))


@contextmanager
def _named(writer: Writer, path: Path) -> Iterator[None]:
    """Whatever a third party's writer raises, its name and the file stand before it."""
    try:
        yield
    except LvlmAuditError:
        raise
    except Exception as error:
        raise UsageError(
            f"writer {writer.name!r} failed at {str(path)!r}: {type(error).__name__}: {error}. Mend the "
            f"writer, or leave it out."
        ) from error
