"""The whole record, as a value and as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from lvlm_audit.document.asked import AskedProbe, Rounding
from lvlm_audit.document.classes import ClassComparison
from lvlm_audit.document.comparison import Comparison
from lvlm_audit.document.corrections import CorrectionsReading
from lvlm_audit.document.decoder import DecoderComparison
from lvlm_audit.document.features import FeatureReading
from lvlm_audit.document.findings import Finding, Verdict
from lvlm_audit.document.gate import GateReading
from lvlm_audit.document.grounding import GroundingReading
from lvlm_audit.document.hallucination import HallucinationReading
from lvlm_audit.document.probes import ProbeReading
from lvlm_audit.document.saved import Saved
from lvlm_audit.document.scores import ScoreReading
from lvlm_audit.document.skips import SkipReading
from lvlm_audit.document.stages import LayerSummary, StageReading
from lvlm_audit.document.uses import Uses
from lvlm_audit.errors import DocumentError
from lvlm_audit.notes import Note
from lvlm_audit.settings.reading import DivergenceName, ScalingName
from lvlm_audit.short_repr import short_repr

SCHEMA = "lvlm_audit/audit"
SCHEMA_VERSION = 1
SCHEMA_MINOR = 1
"""1: probes in short, what was fed, comparisons with outcomes, anchor and gate."""
MAX_BLOCKS = 100_000
"""Every one of them is drawn."""


Answered = Literal["generated", "given"]


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
    divergence: DivergenceName = "jsd"
    """What is shown between neighbouring states: "jsd" (bits), or "paper_index" (its own unit)."""
    scaling: ScalingName = "none"
    """View of the heat maps; the document's numbers are never scaled."""
    mode: str = ""
    """Name of this lens, divergence and scaling together, e.g. "paper"; empty where they have none."""
    answers: Answered = "generated"
    """By the model, or given: reference answers that were replayed."""
    control: Literal["", "text-only", "blank-image", "swapped-image"] = ""
    """Control that the run was made under; else empty."""
    control_note: str = ""
    """What the control does, and what a reader should expect of it."""


@dataclass(frozen=True, slots=True, repr=False)
class Audit(Saved):
    """The whole record. `verdict` is "pass" only if no error-severity finding failed or stayed open.

    Example:
        >>> str(audit.verdict), audit.headline
        ('pass', '1 of 1 deciding check passed, none failed.')
        >>> audit.save(folder / "audit.json")
        >>> lvlm_audit.Audit.load(folder / "audit.json") == audit
        True
    """

    CALLED = "an audit document"

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
    scores: list[ScoreReading] = field(default_factory=list)
    """Of yes/no answers, one for each rule by which they are judged; empty where none is expected."""
    notes: list[Note] = field(default_factory=list)
    """What of the user's input was left out, or used otherwise than it was given."""
    asked: list[AskedProbe] = field(default_factory=list)
    """Every probe in short, in the order in which they were asked."""
    fed: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the model is fed beside the probes, by value: "processor", "chat template", "tokenizer",
    "special tokens", "generation"; each a flat object of settings."""
    rounding: Rounding | None = None
    """How far rounding alone moves the last margin; None: not measured."""
    anchor: Comparison | None = None
    """Against the first of a row of baselines, which updating never moves; None: there is none."""
    gate: GateReading | None = None
    """By what the run was judged; None: the document is older than the gate, or was never judged."""
    schema: str = SCHEMA
    schema_version: int = SCHEMA_VERSION
    schema_minor: int = SCHEMA_MINOR

    def __repr__(self) -> str:
        verdicts = Counter(str(finding.verdict) for finding in self.findings)
        return short_repr(
            self,
            verdict=str(self.verdict),
            model=self.subject.model,
            findings=", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()),
            probes=len(self.probes),
            lens=self.subject.lens,
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: verdict, stages, findings, worst probes."""
        from lvlm_audit.report.html import notebook

        return notebook(self)

    def findings_frame(self, *, by_image: bool = False) -> Any:
        """The findings as a pandas DataFrame: one row each, or one for each of its images.

        Columns: `lvlm_audit.frames.findings`. It has `to_parquet(path)`, as every DataFrame.

        Raises:
            UsageError: pandas is not installed; it comes with `lvlm-audit[frames]`.
        """
        from lvlm_audit.frames.findings import findings_frame

        return findings_frame(self, by_image=by_image)

    def tokens_frame(self) -> Any:
        """Every number of every token as a pandas DataFrame: probe, token, state, metric, value, unit.

        Further columns: `lvlm_audit.frames.tokens`. It has `to_parquet(path)`, as every DataFrame.

        Raises:
            UsageError: pandas is not installed; it comes with `lvlm-audit[frames]`.
        """
        from lvlm_audit.frames.tokens import tokens_frame

        return tokens_frame(self)

    @classmethod
    def sane(cls, document: Any, name: str) -> Audit:
        """The audit, if its decoders can be drawn.

        Raises:
            DocumentError: a number of blocks that no decoder has.
        """
        audit: Audit = document
        alone = audit.decoder.stages if audit.decoder is not None else None
        for where, blocks in (
            ("subject", audit.subject.blocks),
            ("stages", audit.stages.blocks),
            ("decoder.stages", 0 if alone is None else alone.blocks),
        ):
            if not 0 <= blocks <= MAX_BLOCKS:
                raise DocumentError(
                    f"{name}.{where}.blocks: no decoder has {blocks} blocks. The document is damaged or "
                    f"not ours."
                )
        return audit
