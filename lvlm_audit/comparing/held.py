"""What a model is held against: an earlier document with its anchor, or another model, asked the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lvlm_audit.comparing.against import earlier
from lvlm_audit.document import Audit
from lvlm_audit.errors import UsageError
from lvlm_audit.settings.gate import Gate
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.writing import check_writable, write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Documents that a model is held against.

    Attributes:
        baseline: the parent's.
        anchor: the first of a row of baselines; None: there is none, or the baseline is it.
        path: the baseline's file; None: it is a model that was asked.
    """

    baseline: Audit
    anchor: Audit | None = None
    path: Path | None = None


def stored(gate: Gate, here: Path) -> Held | None:
    """The documents that a gate names; None where it names none, or a model.

    Args:
        gate: what the run was given.
        here: what relative paths are relative to.

    Raises:
        UsageError: a document that does not exist, or a model whose baseline cannot be updated.
        DocumentError: the file holds no audit.
    """
    if gate.baseline is None:
        return None
    path = here / Path(gate.baseline).expanduser()
    if not path.is_file() and path.suffix != ".json":
        if gate.update_baseline:
            raise UsageError(
                f"{spelled('update_baseline')} writes a document, and {spelled('baseline', gate.baseline)} "
                f"is a model. Write the document of the model with {spelled('json')} first, and name that."
            )
        return None
    if gate.update_baseline:
        check_writable(path)
        check_writable(anchor_of(path))
    baseline = earlier(path)
    anchor = anchor_of(path)
    return Held(baseline=baseline, anchor=earlier(anchor) if anchor.is_file() else None, path=path)


def anchor_of(path: Path) -> Path:
    """Where the anchor of a baseline lies: "parent.json" has "parent.anchor.json"."""
    return path.with_name(f"{path.stem}.anchor{path.suffix}")


def update(held: Held, audit: Audit) -> list[Path]:
    """Put a new document in the baseline's place; the first that was there becomes the anchor.

    Returns:
        The files that were written.

    Raises:
        UsageError: one of them cannot be written.
    """
    assert held.path is not None
    written = []
    anchor = anchor_of(held.path)
    if held.anchor is None:
        # First, so that nothing is lost whatever happens between the two.
        write_whole(anchor, held.path.read_text(encoding="utf-8"))
        written.append(anchor)
    audit.save(held.path)
    return [*written, held.path]
