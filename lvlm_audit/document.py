"""The audit document: a versioned JSON record that every renderer and comparison reads.

Standard library only, so that reports and comparisons run on a machine without NumPy. Field names here
are the field names in the JSON file. Numbers are plain ints and floats; a value that does not exist is
null, never NaN. Curves are rounded to 4 significant places when the document is written.

Units: probabilities and shares in [0, 1]; divergences and entropies in bits; states and transitions
are indices (state j of 0..L, transition i = state i -> i + 1, block i is 0-based).
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import tempfile
import types
import typing
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from lvlm_audit.errors import DocumentError, UsageError

SCHEMA = "lvlm_audit/audit"
SCHEMA_VERSION = 1


class Verdict(StrEnum):
    """What an observation says about its bound."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "not applicable"


class Severity(StrEnum):
    """Whether a check decides the exit code."""

    ERROR = "error"
    WARN = "warn"


class Stage(StrEnum):
    """The stage of knowledge evolution that a check speaks about."""

    RAPID_EVOLUTION = "rapid evolution"
    STABILIZATION = "stabilization"
    MUTATION = "mutation"
    WHOLE_ANSWER = "whole answer"


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: lower end.
        high: upper end.
        confidence: two-sided confidence level, e.g. 0.95.
        method: how it was made: "wilson", "cluster bootstrap", or "full range" below 5 images.
        adjusted: whether the level was widened for the family of checks (Holm).
    """

    low: float
    high: float
    confidence: float
    method: str
    adjusted: bool = False


@dataclass(frozen=True, slots=True)
class Bound:
    """What the observed value is held against: `observed op value`, op one of ">=" and "<="."""

    op: str
    value: float
    unit: str
    """"bits", "probability", "share of images", "share of tokens", "states", "share of depth" ..."""


@dataclass(frozen=True, slots=True)
class Eligibility:
    """How much evidence a finding counts, and why the rest is not counted."""

    images: int
    tokens: int
    images_recorded: int
    tokens_recorded: int
    excluded: dict[str, int]
    """Reason -> number of tokens."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's observation and its judgement."""

    check: str
    """Name, unique in the suite: `answer_forms`."""
    statement: str
    """What must hold, in words."""
    stage: Stage
    severity: Severity
    verdict: Verdict
    observed: float | None
    """None exactly when not applicable."""
    interval: Interval | None
    bound: Bound
    n: int
    """Images that count."""
    eligible: Eligibility
    message: str
    """One sentence in plain words: what was observed, why the verdict."""
    rationale: str
    """Why the bound is what it is; written before the audit."""
    declared: dict[str, Any]
    """The check exactly as declared: metric, property, parameters, tokens counted."""
    source: str
    """File that declares it, e.g. "check_rapid_evolution.py"."""
    images_to_decide: int | None = None
    """About how many images would decide an inconclusive finding, if the value stays."""
    per_image: dict[str, float] = field(default_factory=dict)
    """Observed value of each image (cluster), for pairing with a baseline."""
    counterexamples: list[str] = field(default_factory=list)
    """Ids of the probes that speak most against the statement, worst first (at most 5)."""


@dataclass(frozen=True, slots=True)
class Node:
    """A state on the way, located on tokens and summarised over images.

    Attributes:
        state: median over images of per-image medians; None where undefined.
        interval: bootstrap over images, None below 5 images' worth of evidence or when undefined.
        spread: interquartile range over images, in states.
        undefined: share of eligible tokens for which the node does not exist.
    """

    state: float | None
    interval: Interval | None
    spread: float | None
    undefined: float


@dataclass(frozen=True, slots=True)
class Level:
    """What one level of evidence says: "probability", "distribution" or "feature"."""

    name: str
    measured: bool
    pattern: str
    """"three stages", "rise and plateau", "rise only", "no such pattern", "inconclusive" or
    "not measured"."""
    evidence: str
    """In words: what was seen that supports the pattern or speaks against it."""
    critical: Node | None = None
    onset: Node | None = None
    settle: Node | None = None
    mutation_states: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StageReading:
    """The stages of the model as located on its answers."""

    blocks: int
    pattern: str
    """The pattern of the leading level (probability), worded as in `Level.pattern`."""
    evidence: str
    critical_layer: int | None
    mutation_layers: list[int]
    mutation_share: list[float]
    """[S] share of eligible tokens that mutate at each state; the terminal state is apart."""
    terminal_share: float | None
    """Share of eligible tokens whose leader changes at the terminal transition L-1 -> L."""
    levels: list[Level]
    levels_agree: bool | None
    note: str
    """What the reader must know to read it (lens, caveats)."""


@dataclass(frozen=True, slots=True)
class LayerSummary:
    """One curve over states or transitions, summarised over images (mean over tokens per image)."""

    name: str
    unit: str
    axis: str
    """"state" or "transition"."""
    median: list[float | None]
    low: list[float | None]
    """First quartile over images."""
    high: list[float | None]
    """Third quartile over images."""


@dataclass(frozen=True, slots=True)
class TokenReading:
    """One generated token, layer by layer."""

    text: str
    id: int
    kind: str
    """Token class: content, function, copied, punctuation, continuation, special."""
    eligible: bool
    probability: list[float]
    """[S] lens probability of the emitted token."""
    nucleus: list[float]
    """[S] nucleus mass."""
    divergence: list[float]
    """[L] JSD between neighbouring states, bits."""
    leaders: list[str]
    """[S] text of the leading token."""
    leader_probability: list[float]
    """[S]"""
    grounding: list[float] | None
    """[S] JSD between its own image and another probe's, bits; None where not recorded."""
    onset: int | None
    critical: int | None
    settle: int | None
    saturation: int | None
    """Earliest state from which the leader no longer changes; None: never before the last state."""
    mutations: list[int]
    """States at which a settled leader was replaced late."""
    terminal_change: bool
    """The leader changes at the terminal transition."""
    rivals: list[dict[str, Any]] = field(default_factory=list)
    """Strongest other candidates: {"text": str, "probability": [S]} (at most 3)."""


@dataclass(frozen=True, slots=True)
class ProbeReading:
    """One probe: what was asked, what was answered, and how the answer formed."""

    id: str
    cluster: str
    prompt: str
    image: str | None
    """Thumbnail as a data URI; None for prepared probes."""
    reference: str | None
    answer: str
    labels: dict[str, Any]
    tokens: list[TokenReading]


@dataclass(frozen=True, slots=True)
class Nomination:
    """A block that the plateau nominates for removal. Never certified by itself."""

    block: int
    """0-based."""
    influence: float
    """Median neighbour JSD over the block's transition, bits."""
    leader_kept: float
    """Share of eligible tokens whose leader the block leaves unchanged."""


@dataclass(frozen=True, slots=True)
class Reversal:
    """A token whose settled leader was replaced late."""

    probe: str
    token: str
    position: int
    state: int
    before: str
    """Leader before."""
    after: str
    margin: float


@dataclass(frozen=True, slots=True)
class Uses:
    """A first look at what an audit is used for, marked as uncertified."""

    removable: list[Nomination]
    removable_note: str
    reversals: list[Reversal]
    reversals_note: str


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


@dataclass(frozen=True, slots=True)
class Difference:
    """One finding against the same finding of a baseline, paired by image."""

    check: str
    observed: float | None
    baseline: float | None
    difference: float | None
    interval: Interval | None
    n: int
    note: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """This audit against an earlier one."""

    baseline_model: str
    baseline_created: str
    differences: list[Difference]
    note: str


@dataclass(frozen=True, slots=True)
class Audit:
    """The whole record. `verdict` is "pass" only if no error-severity finding failed or stayed open."""

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
    schema: str = SCHEMA
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """The document as JSON text (UTF-8, no NaN)."""
        return json.dumps(_plain(self), ensure_ascii=False, allow_nan=False, indent=1)

    def save(self, path: str | Path) -> None:
        """Write the document; either the whole file appears or none.

        Raises:
            UsageError: the path cannot be written.
        """
        write_whole(Path(path), self.to_json())

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
                f"Write one with --lvlm-json."
            )
        version = data.get("schema_version")
        if version != SCHEMA_VERSION:
            raise DocumentError(
                f"{name} has schema version {version!r}; this lvlm_audit reads version "
                f"{SCHEMA_VERSION}. Read it with the version that wrote it, or audit again."
            )
        return typing.cast("Audit", _build(cls, data, name))

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


def check_writable(path: Path) -> None:
    """Refuse a path that could not be written later, before hours are spent.

    Raises:
        UsageError: the folder does not exist or is not writable, or the path is a folder, a device
            or no possible name.
    """
    folder = path.parent
    try:
        taken = path.exists()
    except OSError as error:
        raise UsageError(f"cannot write {str(path)!r}: {error.strerror or error}.") from error
    if path.is_dir():
        raise UsageError(f"cannot write {str(path)!r}: it is a folder. Name a file in it.")
    if taken and not path.is_file():
        # A file is renamed into place, which would put it where /dev/null or a pipe was.
        raise UsageError(f"cannot write {str(path)!r}: it is not a regular file. Name one.")
    if not folder.is_dir():
        raise UsageError(
            f"cannot write {str(path)!r}: there is no folder {str(folder)!r}. Create it first."
        )
    if not os.access(folder, os.W_OK) or (taken and not os.access(path, os.W_OK)):
        raise UsageError(f"cannot write {str(path)!r}: permission denied. Choose another path.")


def write_whole(path: Path, text: str) -> None:
    """Write a text file atomically: a reader sees the old file or the new one, never a part.

    Raises:
        UsageError: the path cannot be written.
    """
    check_writable(path)
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        # mkstemp makes the file private; a report is meant to be read.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise UsageError(f"cannot write {str(path)!r}: {error.strerror or error}.") from error
    finally:
        # Whatever it was, an interrupt included, nothing half-written stays.
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def rounded(value: float | None, places: int = 4) -> float | None:
    """To `places` significant digits, None for what is not finite."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{places}g}")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _is_finite(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, StrEnum):
        return str(value)
    return value


def _build(kind: Any, value: Any, where: str) -> Any:
    """Build a value of a declared type from plain JSON, refusing what does not fit."""
    if kind is Any:
        return value
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        options = typing.get_args(kind)
        if value is None and type(None) in options:
            return None
        (only,) = [o for o in options if o is not type(None)]
        return _build(only, value, where)
    if origin is list:
        if not isinstance(value, list):
            raise DocumentError(f"{where}: expected a list, found {type(value).__name__}.")
        (item,) = typing.get_args(kind)
        return [_build(item, v, f"{where}[{i}]") for i, v in enumerate(value)]
    if origin is dict:
        if not isinstance(value, dict):
            raise DocumentError(f"{where}: expected an object, found {type(value).__name__}.")
        _, item = typing.get_args(kind)
        return {k: _build(item, v, f"{where}.{k}") for k, v in value.items()}
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise DocumentError(f"{where}: expected an object, found {type(value).__name__}.")
        hints = typing.get_type_hints(kind)
        known = {f.name: f for f in dataclasses.fields(kind)}
        missing = [
            n
            for n, f in known.items()
            if n not in value
            and f.default is dataclasses.MISSING
            and f.default_factory is dataclasses.MISSING
        ]
        if missing or set(value) - set(known):
            raise DocumentError(
                f"{where}: missing fields {missing}, unknown fields {sorted(set(value) - set(known))}. "
                f"The document is damaged or not ours."
            )
        return typing.cast(Any, kind)(
            **{n: _build(hints[n], value[n], f"{where}.{n}") for n in known if n in value}
        )
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        try:
            return kind(value)
        except ValueError as error:
            raise DocumentError(f"{where}: {error}.") from error
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # JSON can spell numbers beyond the largest float: they arrive as infinity.
    odd = isinstance(value, bool) if kind is int else kind is float and not _is_finite(value)
    if odd or not isinstance(value, kind):
        raise DocumentError(f"{where}: expected {kind.__name__}, found {value!r}.")
    return value
