"""The probes: some drawn in full, the others as rows of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import Audit, ProbeReading, TokenReading
from lvlm_audit.report.by_kind import MAX_KINDS, KindRow, by_kind
from lvlm_audit.report.drawing.heat_map import HeatMap, heat_map
from lvlm_audit.report.drawing.shown import Shown, shown
from lvlm_audit.report.drawing.spark import Spark, spark
from lvlm_audit.report.drawing.token_chart import MAX_TOKENS, TokenChart, token_chart
from lvlm_audit.report.records import rows
from lvlm_audit.report.select import Selection
from lvlm_audit.report.thumbnails import thumbnails
from lvlm_audit.report.words import finite, number, tokens_apart

_CELL, _LABEL = 11, 24
"""Characters of a token in a cell of the lens table, and elsewhere."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The leading token at one state."""

    text: str
    value: str
    depth: int
    """Probability in tenths, 0..9, for the shade."""
    same: bool
    """The leader is that of the state before."""
    title: str
    """The token's full name where the cell has no room for it; else empty."""


@dataclass(frozen=True, slots=True)
class TokenView:
    """One token with its sparkline and its leading tokens."""

    token: TokenReading
    spark: Spark
    leaders: list[Cell]
    names: dict[str, str]
    """Labels of the token and of its rivals and leaders beside it."""


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
class Probes:
    """What the template reads."""

    name: ClassVar[str] = "probes"

    full: list[ProbeView]
    rows: list[ProbeRow]
    left_out: int
    kinds: list[KindRow]
    """Results by kind of question; empty where no probe has a kind."""
    kinds_left: int


def section(audit: Audit, chosen: Selection) -> Probes:
    """Draw the probes that were chosen."""
    between, kinds = shown(audit), by_kind(audit.asked)
    return Probes(
        full=[
            _probe(probe, audit, place, images, between)
            for place, (probe, images) in enumerate(
                zip(chosen.full, thumbnails(chosen.full), strict=True), start=1
            )
        ],
        rows=[_row(probe, place) for place, probe in enumerate(chosen.rows, len(chosen.full) + 1)],
        left_out=chosen.left_out,
        kinds=kinds[:MAX_KINDS],
        kinds_left=max(0, len(kinds) - MAX_KINDS),
    )


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
        labels=rows(probe.labels, 20),
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
        tokens=[TokenView(one, spark(one), leaders(one), _names(one)) for one in drawn],
        left_out=len(probe.tokens) - len(drawn),
        states=max((len(one.leaders) for one in drawn), default=0),
    )


def _row(probe: ProbeReading, place: int) -> ProbeRow:
    return ProbeRow(
        probe=probe,
        anchor=f"probe-{place}",
        number=place,
        labels=rows(probe.labels, 4),
        counted=sum(one.eligible for one in probe.tokens),
        flips=sum(bool(one.mutations) for one in probe.tokens),
    )


def _names(one: TokenReading) -> dict[str, str]:
    rivals = [str(rival.get("text", "")) for rival in one.rivals]
    return tokens_apart([one.text, *rivals, *one.leaders], _LABEL)


def leaders(one: TokenReading) -> list[Cell]:
    """The leading token at every state, as cells of a logit lens table."""
    cells: list[Cell] = []
    short, full = (tokens_apart([one.text, *one.leaders], limit) for limit in (_CELL, _LABEL))
    before: str | None = None
    for text, raw in zip(one.leaders, one.leader_probability, strict=False):
        value = finite(raw)
        cells.append(
            Cell(
                text=short[text],
                title="" if short[text] == full[text] else full[text],
                value=number(value, 2) if value is None or value >= 0.01 else "<.01",
                depth=0 if value is None else min(9, max(0, int(10 * value))),
                same=text == before,
            )
        )
        before = text
    return cells
