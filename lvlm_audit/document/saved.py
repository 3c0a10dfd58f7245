"""What every document can do: become JSON text, and a file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar

from lvlm_audit.document.plain import plain
from lvlm_audit.waiting import said_after
from lvlm_audit.writing import write_whole

_HALF = re.compile("[\ud800-\udfff]")


class Saved:
    """Base of the dataclasses that are written as documents of their own."""

    __slots__ = ()

    CALLED: ClassVar[str]
    """One of them, in messages."""

    def to_json(self) -> str:
        """The document as JSON text (no NaN), which UTF-8 can always hold.

        A line for every field, and for every item of a field that is a list: large documents are mostly
        numbers, which one by one would fill millions of lines.
        """
        content = plain(self)
        fields = ",\n".join(
            f" {_compact(name)}: {_field(value)}" for name, value in content.items()
        )
        # Half of a surrogate pair, as file names hold for bytes that are no text, exists escaped alone.
        return _HALF.sub(lambda half: f"\\u{ord(half.group()):04x}", f"{{\n{fields}\n}}")

    def save(self, path: str | Path) -> None:
        """Write the document; either the whole file appears or none.

        Raises:
            UsageError: the path cannot be written.
        """
        with said_after(f"writing {str(path)!r}"):
            write_whole(Path(path), self.to_json())


def _field(value: Any) -> str:
    if not isinstance(value, list) or not value:
        return _compact(value)
    return "[\n  " + ",\n  ".join(map(_compact, value)) + "\n ]"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
