"""The whole record, as a value and as JSON."""

from __future__ import annotations

import json
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lvlm_audit.document.classes import ClassComparison
from lvlm_audit.document.comparison import Comparison
from lvlm_audit.document.corrections import CorrectionsReading
from lvlm_audit.document.decoder import DecoderComparison
from lvlm_audit.document.features import FeatureReading
from lvlm_audit.document.findings import Finding, Verdict
from lvlm_audit.document.grounding import GroundingReading
from lvlm_audit.document.hallucination import HallucinationReading
from lvlm_audit.document.plain import build
from lvlm_audit.document.probes import ProbeReading
from lvlm_audit.document.saved import Saved
from lvlm_audit.document.skips import SkipReading
from lvlm_audit.document.stages import LayerSummary, StageReading
from lvlm_audit.document.uses import Uses
from lvlm_audit.errors import DocumentError
from lvlm_audit.notes import Note
from lvlm_audit.settings.spelling import spelled

SCHEMA = "lvlm_audit/audit"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom was asked."""

    model: str
    """As the user named it."""
    is_demo: bool
    resolved: str
    """Hub id or folder name."""
    architecture: str
    blocks: int
    width: int
    vocabulary: int
    dtype: str
    device: str
    lens: str
    anatomy: dict[str, str]
    """What was found where: {"blocks": "model.language_model.layers (30)", ...}."""
    note: str = ""
    divergence: str = "jsd"
    """What is shown between neighbouring states: "jsd" (bits), or "paper_index" (its own unit)."""
    scaling: str = "none"
    """View of the heat maps; the document's numbers are never scaled."""
    mode: str = ""
    """Name of this lens, divergence and scaling together, e.g. "paper"; empty where they have none."""
    answers: str = "generated"
    """"generated" by the model, or "given": reference answers that were replayed."""
    control: str = ""
    """Control that the run was made under ("text-only", "blank-image", "swapped-image"); else empty."""
    control_note: str = ""
    """What the control does, and what a reader should expect of it."""


@dataclass(frozen=True, slots=True)
class Audit(Saved):
    """The whole record. `verdict` is "pass" only if no error-severity finding failed or stayed open.

    Example:
        >>> str(audit.verdict), audit.headline
        ('pass', '1 of 1 deciding checks passed, none failed.')
        >>> audit.save(folder / "audit.json")
        >>> lvlm_audit.Audit.load(folder / "audit.json") == audit
        True
    """

    verdict: Verdict
    headline: str
    """One sentence."""
    subject: Subject
    findings: list[Finding]
    stages: StageReading
    layers: list[LayerSummary]
    probes: list[ProbeReading]
    uses: Uses
    provenance: dict[str, Any]
    """created (ISO 8601), versions, fingerprints, settings, seconds, whether traces were reused."""
    comparison: Comparison | None = None
    classes: ClassComparison | None = None
    features: FeatureReading | None = None
    """None where no states were recorded."""
    grounding: GroundingReading | None = None
    decoder: DecoderComparison | None = None
    skips: SkipReading | None = None
    """None where no check asked for a skip set."""
    hallucination: HallucinationReading | None = None
    """None where no word of the answers is labelled right or wrong."""
    corrections: CorrectionsReading | None = None
    """None where no word is labelled right or wrong, or no intervention was tried."""
    notes: list[Note] = field(default_factory=list)
    """What of the user's input was left out, or used otherwise than it was given."""
    schema: str = SCHEMA
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def from_json(cls, text: str, *, name: str = "document") -> Audit:
        """Read a document.

        Raises:
            DocumentError: not JSON, not an audit document, damaged, or of a newer version.
        """
        try:
            data = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise DocumentError(f"{name} is not JSON: {error}.") from error
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise DocumentError(
                f"{name} is not an audit document: its schema is "
                f"{data.get('schema') if isinstance(data, dict) else None!r}, not {SCHEMA!r}. "
                f"Write one with {spelled('json')}."
            )
        version = data.get("schema_version")
        if version != SCHEMA_VERSION:
            raise DocumentError(
                f"{name} has schema version {version!r}; this lvlm_audit reads version "
                f"{SCHEMA_VERSION}. Read it with the version that wrote it, or audit again."
            )
        return typing.cast("Audit", build(cls, data, name))

    @classmethod
    def load(cls, path: str | Path) -> Audit:
        """Read a document from a file.

        Raises:
            DocumentError: as `from_json`, and when the file cannot be read.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DocumentError(f"cannot read {str(path)!r}: {error}.") from error
        return cls.from_json(text, name=str(path))


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
