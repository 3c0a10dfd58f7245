"""Every kind of document, by the schema that its file names."""

from __future__ import annotations

from pathlib import Path

from lvlm_audit.document.audit import SCHEMA, Audit
from lvlm_audit.document.calibration import CALIBRATION_SCHEMA, Calibration
from lvlm_audit.document.parsing import built, json_object, schema_of
from lvlm_audit.document.pruning import PRUNING_SCHEMA, PruningPlan
from lvlm_audit.document.reading import read_text
from lvlm_audit.document.saved import Saved
from lvlm_audit.errors import DocumentError

KINDS: dict[str, type[Saved]] = {
    SCHEMA: Audit,
    CALIBRATION_SCHEMA: Calibration,
    PRUNING_SCHEMA: PruningPlan,
}


def read_document(path: str | Path) -> Saved:
    """The document that a file holds, of whatever kind.

    Raises:
        DocumentError: the file cannot be read, or holds none of ours.
    """
    name = str(path)
    data = json_object(read_text(path), name)
    schema = schema_of(data)
    if not isinstance(schema, str) or schema not in KINDS:
        raise DocumentError(
            f"{name} is no document of ours: its schema is {schema!r}, none of {', '.join(KINDS)}."
        )
    return KINDS[schema].sane(built(KINDS[schema], data, name), name)
