"""What every document can do: become JSON text, and a file."""

from __future__ import annotations

import json
from pathlib import Path

from lvlm_audit.document.plain import plain
from lvlm_audit.writing import write_whole


class Saved:
    """Base of the dataclasses that are written as documents of their own."""

    __slots__ = ()

    def to_json(self) -> str:
        """The document as JSON text (UTF-8, no NaN)."""
        return json.dumps(plain(self), ensure_ascii=False, allow_nan=False, indent=1)

    def save(self, path: str | Path) -> None:
        """Write the document; either the whole file appears or none.

        Raises:
            UsageError: the path cannot be written.
        """
        write_whole(Path(path), self.to_json())
