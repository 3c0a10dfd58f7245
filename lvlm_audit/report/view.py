"""The page as its templates read it: the audit's own values, grouped and ordered, and ready geometry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lvlm_audit.document import (
    Audit,
    Difference,
    Finding,
    LayerSummary,
    ProbeReading,
    Severity,
    Stage,
    TokenReading,
    Verdict,
)
from lvlm_audit.report.charts import (
    BandChart,
    Whisker,
    band_chart,
    bar_chart,
    finding_whisker,
    whisker,
)
from lvlm_audit.report.classes import MeasureView, measure_views
from lvlm_audit.report.curves import (
    MAX_TOKENS,
    Cell,
    HeatMap,
    Spark,
    TokenChart,
    heat_map,
    leaders,
    spark,
    token_chart,
)
from lvlm_audit.report.decoder import DecoderView, decoder_view
from lvlm_audit.report.maps import MapView, map_view
from lvlm_audit.report.overlay import Overlay, overlay
from lvlm_audit.report.raster import trusted_image
from lvlm_audit.report.ribbon import STAGE_KEYS, Ribbon, band_words, ribbon, stage_starts
from lvlm_audit.report.select import select, urgency
from lvlm_audit.report.shown import Shown, shown
from lvlm_audit.report.words import VERDICT_KEYS, Figures, clip, figures, instrument, number, prose

MAX_LISTED = 60
"""Rows of the tables of nominated blocks and reversals, counterexamples and exclusions."""

MAX_IMAGES = 1_200_000
"""Characters of all thumbnails of a page together."""

_OPEN = {Verdict.FAIL, Verdict.INCONCLUSIVE}

LAYER_NAMES = {
    "probability": "Probability of the emitted token",
    "nucleus": "Nucleus mass",
    "nucleus_mass": "Nucleus mass",
    "divergence": "Divergence between neighbouring states",
    "kl_to_final": "KL divergence, final state to this state",
    "jsd_to_final": "JSD to the final state",
    "entropy": "Entropy",
    "rank": "Rank of the emitted token",
}


@dataclass(frozen=True, slots=True)
class FindingView:
    """One finding with its figures and drawing."""

    finding: Finding
    anchor: str
    key: str
    stage_key: str
    figures: Figures
    whisker: Whisker
    probes: list[tuple[str, str | None]]
    """Counterexamples: id and place in the page, None where the page does not show the probe."""
    declared: list[tuple[str, str]]
    decides: bool


@dataclass(frozen=True, slots=True)
class Group:
    """The findings of one stage."""

    stage: Stage
    key: str
    findings: list[FindingView]


@dataclass(frozen=True, slots=True)
class LayerView:
    """One layer curve with its drawing."""

    title: str
    unit: str
    axis: str
    chart: BandChart


@dataclass(frozen=True, slots=True)
class TokenView:
    """One token with its sparkline and its leading tokens."""

    token: TokenReading
    spark: Spark
    leaders: list[Cell]


@dataclass(frozen=True, slots=True)
class ProbeView:
    """One fully drawn probe."""

    probe: ProbeReading
    anchor: str
    number: int
    images: list[str]
    labels: list[tuple[str, str]]
    chart: TokenChart | None
    heat: HeatMap | None
    grounding: TokenChart | None
    grounding_title: str
    tokens: list[TokenView]
    left_out: int
    states: int


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """One probe as a table row."""

    probe: ProbeReading
    anchor: str
    number: int
    labels: list[tuple[str, str]]
    counted: int
    flips: int


@dataclass(frozen=True, slots=True)
class DifferenceView:
    """One difference to the baseline with its drawing."""

    difference: Difference
    unit: str
    whisker: Whisker | None


@dataclass(frozen=True, slots=True)
class Page:
    """Everything the templates read."""

    audit: Audit
    key: str
    groups: list[Group]
    deciding: list[FindingView]
    """Error-severity findings that failed or stayed open: why the audit is not green."""
    warned: list[FindingView]
    tally: list[tuple[Verdict, str, int]]
    wide: Ribbon
    narrow: Ribbon
    level_words: list[str]
    layers: list[LayerView]
    mutation: BandChart | None
    feature_curves: list[LayerView]
    step_curves: list[LayerView]
    maps: list[MapView]
    probes: list[ProbeView]
    rows: list[ProbeRow]
    left_out: int
    anchors: dict[str, str]
    images: int
    tokens: int
    instrument: str
    differences: list[DifferenceView]
    grounding: Overlay | None
    decoder: DecoderView | None
    provenance: list[tuple[str, str]]
    anatomy: list[tuple[str, str]]
    created: str | None
    classes: list[MeasureView]
    listed: int = MAX_LISTED


def flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """A nested record as rows of dotted names and values in words."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)) and any(isinstance(v, (dict, list)) for v in value):
        for place, inner in enumerate(value):
            yield from flat(inner, f"{name}[{place}]")
    else:
        yield clip(name, 120), prose(_plain(value), 600)


def _plain(value: Any) -> str:
    if value is None or value in ({}, []):
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value, 6)
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(v) for v in value)
    return str(value)


def _rows(value: Any, most: int = 200) -> list[tuple[str, str]]:
    return [row for row, _ in zip(flat(value), range(most), strict=False)] if value else []


def page(audit: Audit) -> Page:
    """Arrange an audit for the templates."""
    chosen = select(audit)
    between = shown(audit)
    views = [
        _finding(finding, place, chosen.anchors)
        for place, finding in enumerate(sorted(audit.findings, key=urgency), start=1)
    ]
    starts, _ = stage_starts(audit.stages)
    known = audit.stages.levels
    words = [
        band_words(starts) if level.name == "probability" and starts else "" for level in known
    ]
    created = audit.provenance.get("created")
    states = audit.features
    step = states.common_step if states is not None else None
    units = {finding.check: finding.bound.unit for finding in audit.findings}
    return Page(
        audit=audit,
        key=VERDICT_KEYS[audit.verdict],
        groups=[
            Group(stage, STAGE_KEYS[stage], [v for v in views if v.finding.stage is stage])
            for stage in Stage
            if any(v.finding.stage is stage for v in views)
        ],
        deciding=[v for v in views if v.decides],
        warned=[v for v in views if not v.decides and v.finding.verdict in _OPEN],
        tally=[
            (verdict, VERDICT_KEYS[verdict], sum(f.verdict is verdict for f in audit.findings))
            for verdict in Verdict
        ],
        wide=ribbon(audit.stages, 1040),
        narrow=ribbon(audit.stages, 328),
        level_words=words,
        layers=[_layer(layer) for layer in audit.layers],
        mutation=bar_chart(audit.stages.mutation_share) if audit.stages.mutation_share else None,
        feature_curves=[_layer(layer) for layer in states.curves] if states else [],
        step_curves=[_layer(layer) for layer in step.curves] if step else [],
        maps=[m for m in map(map_view, states.maps) if m is not None] if states else [],
        probes=[
            _probe(probe, audit, place, images, between)
            for place, (probe, images) in enumerate(
                zip(chosen.full, _images(chosen.full), strict=True), start=1
            )
        ],
        rows=[_row(probe, place) for place, probe in enumerate(chosen.rows, len(chosen.full) + 1)],
        left_out=chosen.left_out,
        anchors=chosen.anchors,
        images=len({probe.cluster for probe in audit.probes}),
        tokens=sum(len(probe.tokens) for probe in audit.probes),
        instrument=instrument(audit.subject),
        differences=[
            _difference(one, units.get(one.check, ""))
            for one in (audit.comparison.differences if audit.comparison else [])
        ],
        grounding=(
            overlay(
                "Divergence from the run with its own image",
                [(curve.name, curve) for curve in audit.grounding.curves],
            )
            if audit.grounding is not None
            else None
        ),
        decoder=decoder_view(audit),
        provenance=_rows(audit.provenance),
        anatomy=_rows(audit.subject.anatomy),
        created=created if isinstance(created, str) else None,
        classes=measure_views(audit.classes),
    )


def _finding(finding: Finding, place: int, anchors: dict[str, str]) -> FindingView:
    return FindingView(
        finding=finding,
        anchor=f"finding-{place}",
        key=VERDICT_KEYS[finding.verdict],
        stage_key=STAGE_KEYS[finding.stage],
        figures=figures(finding),
        whisker=finding_whisker(finding),
        probes=[(probe, anchors.get(probe)) for probe in finding.counterexamples[:5]],
        declared=_rows(finding.declared, 60),
        decides=finding.severity is Severity.ERROR and finding.verdict in _OPEN,
    )


def _layer(layer: LayerSummary) -> LayerView:
    title = LAYER_NAMES.get(layer.name, _headed(layer.name))
    # "Probability of the emitted token, probability" would say it twice.
    unit = "" if layer.unit in title.lower() else layer.unit
    return LayerView(title, unit, layer.axis, band_chart(layer))


def _images(probes: Sequence[ProbeReading]) -> Iterator[list[str]]:
    """Per probe the thumbnails that can be shown, as long as the page can carry them."""
    left = MAX_IMAGES
    for probe in probes:
        shown = []
        for image in map(trusted_image, (probe.image, *probe.more_images)):
            left -= len(image or "")
            if image is not None and left >= 0:
                shown.append(image)
        yield shown


def _headed(name: str) -> str:
    """A name as a heading; letters after the first stay, as in "JSD"."""
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def _probe(
    probe: ProbeReading, audit: Audit, place: int, images: list[str], between: Shown
) -> ProbeView:
    drawn = probe.tokens[:MAX_TOKENS]
    removed = any(token.without_image for token in drawn)
    return ProbeView(
        probe=probe,
        anchor=f"probe-{place}",
        number=place,
        images=images,
        labels=_rows(probe.labels, 20),
        chart=token_chart(probe, audit.stages),
        heat=heat_map(probe, between),
        grounding=token_chart(
            probe,
            audit.stages,
            (lambda token: token.without_image) if removed else (lambda token: token.grounding),
            "bits",
            230,
        ),
        grounding_title=(
            "Grounding: divergence when its image is taken away"
            if removed
            else "Grounding: divergence when another probe's image is shown"
        ),
        tokens=[TokenView(one, spark(one), leaders(one)) for one in drawn],
        left_out=len(probe.tokens) - len(drawn),
        states=max((len(one.leaders) for one in drawn), default=0),
    )


def _row(probe: ProbeReading, place: int) -> ProbeRow:
    return ProbeRow(
        probe=probe,
        anchor=f"probe-{place}",
        number=place,
        labels=_rows(probe.labels, 4),
        counted=sum(one.eligible for one in probe.tokens),
        flips=sum(bool(one.mutations) for one in probe.tokens),
    )


def _difference(one: Difference, unit: str) -> DifferenceView:
    drawing = None
    if one.difference is not None:
        # Against no change: the line stands at zero, and no side of it is called good.
        drawing = whisker(one.difference, one.interval, 0.0, "", unit, width=230, symmetric=True)
    return DifferenceView(one, unit, drawing)
