"""From a document's text to its typed value: what is understood, what is left out with a note, what is refused.

A document has a version, major and minor. A minor one adds fields: an older reader leaves out what it does not
know, and says so; a newer reader takes the declared defaults for what is not there yet. A major one means
something else by a field, and is refused.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, TypeVar

from lvlm_audit.document.plain import MAX_COUNT, Unknown, build, named_field
from lvlm_audit.errors import DocumentError
from lvlm_audit.notes import Note, distinct, left_out
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.version import __version__

T = TypeVar("T")


def parse(kind: type[T], text: str, name: str) -> T:
    """Build a document of a known kind.

    Raises:
        DocumentError: not JSON, another kind of document, damaged, or of a newer major version.
    """
    return built(kind, json_object(text, name), name)


def json_object(text: str, name: str) -> Any:
    """The plain JSON of a text.

    Raises:
        DocumentError: it is not JSON.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise DocumentError(f"{name} is not JSON that we can read: nested too deep.") from error
    except ValueError as error:
        raise DocumentError(f"{name} is not JSON: {error}.") from error


def built(kind: type[T], data: Any, name: str) -> T:
    """As `parse`, from plain JSON.

    Raises:
        DocumentError: as `parse`.
    """
    called, schema, major, minor = _identity(kind)
    if not isinstance(data, dict) or data.get("schema") != schema:
        raise DocumentError(
            f"{name} is not {called}: its schema is {schema_of(data)!r}, not {schema!r}. "
            f"Write one with {spelled('json')}."
        )
    found = data.get("schema_version")
    if type(found) is not int or found != major:
        raise DocumentError(
            f"{name} has schema version {named_field(found)!r}; this lvlm_audit {__version__} reads version "
            f"{major}.{_written_by(data)} Read it with the version that wrote it, or make it again."
        )
    there = data.get("schema_minor", 0)
    newer = type(there) is int and there > minor
    unknown = Unknown(name)
    try:
        document = build(kind, data, name, unknown)
    except DocumentError as error:
        if not newer:
            raise
        raise DocumentError(
            f"{error} The document is of the newer version {major}.{_short(there)}, and this lvlm_audit "
            f"{__version__} reads {major}.{minor}.{_written_by(data)} Update lvlm_audit."
        ) from error
    changes: dict[str, Any] = {"schema_minor": minor}
    if unknown.places:
        why = (
            f"not known to lvlm_audit {__version__}, which reads version {major}.{minor} of the document; "
            f"this one is of version {major}.{_short(there)}"
        )
        said = Note(
            "document", f"{left_out('field', list(unknown.places), why)}.{_written_by(data)}"
        )
        changes["notes"] = list(distinct([*document.notes, said]))
    made: T = dataclasses.replace(document, **changes)
    return made


def schema_of(data: Any) -> Any:
    """What a document says that it is, short enough to be shown."""
    return named_field(data.get("schema")) if isinstance(data, dict) else None


def _identity(kind: Any) -> tuple[str, str, int, int]:
    fields: dict[str, Any] = {f.name: f.default for f in dataclasses.fields(kind)}
    return kind.CALLED, fields["schema"], fields["schema_version"], fields["schema_minor"]


def _written_by(data: dict[str, Any]) -> str:
    provenance = data.get("provenance")
    version = provenance.get("lvlm_audit") if isinstance(provenance, dict) else None
    return (
        f" It was written by lvlm_audit {named_field(version)}." if isinstance(version, str) else ""
    )


def _short(number: Any) -> Any:
    return number if type(number) is int and number <= MAX_COUNT else "?"


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
