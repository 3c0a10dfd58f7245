"""What every document can do: become JSON text, and a file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar, Self

from lvlm_audit.document.parsing import parse
from lvlm_audit.document.plain import plain
from lvlm_audit.document.reading import read_text
from lvlm_audit.waiting import said_after
from lvlm_audit.writing import write_whole

_HALF = re.compile("[\ud800-\udfff]")


class Saved:
    """Base of the dataclasses that are written as documents of their own."""

    __slots__ = ()

    CALLED: ClassVar[str]
    """One of them, in messages."""

    @classmethod
    def from_json(cls, text: str, *, name: str = "document") -> Self:
        """Read a document. Fields that are not known are left out, which a note in it says.

        Raises:
            DocumentError: not JSON, another kind of document, damaged, or of a newer major version.
        """
        return cls.sane(parse(cls, text, name), name)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a document from a file.

        Raises:
            DocumentError: as `from_json`, and when the file cannot be read.
        """
        return cls.from_json(read_text(path), name=str(path))

    @classmethod
    def sane(cls, document: Any, name: str) -> Self:
        """The document, if it can be what it says.

        Raises:
            DocumentError: no such thing can exist.
        """
        del name
        kept: Self = document
        return kept

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
