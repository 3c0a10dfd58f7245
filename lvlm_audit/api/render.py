"""`lvlm_audit.render`: a document as a file of any format."""

from __future__ import annotations

from pathlib import Path

from lvlm_audit.document.saved import Saved
from lvlm_audit.writers.outputs import output, write_all


def render(document: Saved, path: str | Path, *, format: str = "html") -> None:
    """Writes a document as a page, or in another format; either the whole file appears or none.

    Args:
        document: an audit, a pruning plan or a calibration.
        path: of the file.
        format: "html", "json", or the name of a registered writer (docs/writers.md).

    Raises:
        UsageError: there is no such format, it cannot hold this document, or the path cannot be written.

    Example:
        >>> lvlm_audit.render(audit, folder / "report.html")
        >>> (folder / "report.html").stat().st_size > 10_000
        True
    """
    chosen = output(format, Path(path), type(document), "format")
    for _ in write_all(document, [chosen]):
        pass
