"""JSON: the document itself."""

from __future__ import annotations

from typing import Any

from lvlm_audit.document import Audit, Calibration, PruningPlan
from lvlm_audit.writers.writer import TextWriter


class JsonWriter(TextWriter):
    """Every document, complete: all else can be made of it."""

    name = "json"
    kinds = (Audit, PruningPlan, Calibration)

    def text(self, document: Any) -> str:
        """As `to_json`."""
        return str(document.to_json())


JSON = JsonWriter()
