"""The page of an audit: its head and its sections, in the order in which they are read."""

from __future__ import annotations

from dataclasses import dataclass

from lvlm_audit.document import Audit
from lvlm_audit.report.sections import (
    Section,
    anchor,
    classes,
    comparison,
    decoder,
    descriptions,
    features,
    findings,
    grounding,
    hallucination,
    layers,
    probes,
    provenance,
    scores,
    skips,
    stages,
    uses,
)
from lvlm_audit.report.sections.header import Header, header
from lvlm_audit.report.select import select


@dataclass(frozen=True, slots=True)
class Page:
    """Everything the templates read."""

    audit: Audit
    header: Header
    sections: list[Section]
    """Those that the audit holds something of."""
    anchors: dict[str, str]
    """Probe id -> name of its place in the page."""


def page(audit: Audit) -> Page:
    """Arrange an audit for the templates."""
    chosen = select(audit)
    cards = findings.finding_views(audit, chosen.anchors)
    sections: list[Section | None] = [
        comparison.section(audit, chosen.anchors),
        anchor.section(audit, chosen.anchors),
        stages.section(audit, cards),
        findings.section(cards),
        descriptions.section(cards),
        scores.section(audit),
        layers.section(audit),
        features.section(audit),
        classes.section(audit),
        grounding.section(audit),
        decoder.section(audit),
        hallucination.section(audit),
        skips.section(audit),
        uses.section(audit),
        probes.section(audit, chosen),
        provenance.section(audit),
    ]
    return Page(
        audit=audit,
        header=header(audit, cards),
        sections=[one for one in sections if one is not None],
        anchors=chosen.anchors,
    )
