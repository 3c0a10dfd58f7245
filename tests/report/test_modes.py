"""A page and a terminal in paper mode: which numbers the heat maps show, and what is said about them."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from lvlm_audit.document import Audit
from lvlm_audit.report import html
from lvlm_audit.report.drawing import heat_map, raster, token_chart
from lvlm_audit.report.drawing.shown import JSD, shown
from lvlm_audit.report.words import instrument
from tests.report import documents
from tests.report.test_terminal import show


def test_the_default_shows_bits() -> None:
    audit = documents.audit(2)
    assert shown(audit) == JSD
    page = html.render(audit)
    assert "the same scale from 0 to 1 bit in every probe" in page
    assert "Paper mode" not in page
    assert "columns scaled apart" not in show(audit, width=120)
    assert instrument(audit.subject) == "normed lens"


def test_paper_mode_is_said_at_the_top_of_page_and_terminal() -> None:
    audit = documents.paper_mode()
    page = html.render(audit)
    header = page[page.index("<header") : page.index("</header>")]
    assert "<strong>Paper mode.</strong>" in header
    assert "paper mode: raw lens, paper_index, columns scaled apart" in header
    assert "paper mode: raw lens, paper_index, columns scaled apart" in show(audit, width=120)
    assert "Through the raw lens the last transition has 0.7 bits." in page


def test_the_scaled_view_is_each_column_by_its_own_maximum() -> None:
    (probe, *_) = documents.paper_mode().probes
    heat = heat_map.heat_map(probe, shown(documents.paper_mode()))
    assert heat is not None
    drawn = np.array([[float(v) for v in row.split()] for row in heat.values.split("/")])
    values = np.array([t.paper_index for t in probe.tokens])
    np.testing.assert_allclose(drawn, values / values.max(axis=0), rtol=6e-3)
    assert "columns cannot be compared" in heat.shown.caption


def test_the_unscaled_index_has_one_scale_for_all_probes_and_its_own_unit() -> None:
    audit = documents.paper_mode(scaling="none")
    what = shown(audit)
    largest = max(v for p in audit.probes for t in p.tokens for v in t.paper_index or ())
    assert (what.top, what.unit) == (largest, "nats per vocabulary entry")
    heats = [heat_map.heat_map(probe, what) for probe in audit.probes]
    assert all(h is not None and h.legend_ticks[0].label == "0" for h in heats)
    assert raster.shade(largest, what.top) == 254
    assert "bits" not in {h.shown.unit for h in heats if h is not None}
    assert "not comparable with bits" in html.render(audit)
    assert instrument(audit.subject) == "raw lens, paper_index"


def test_a_scaled_jsd_is_possible_too() -> None:
    audit = documents.audit(1)
    audit = dataclasses.replace(audit, subject=dataclasses.replace(audit.subject, scaling="paper"))
    heat = heat_map.heat_map(audit.probes[0], shown(audit))
    assert heat is not None
    assert heat.shown.title == "Divergence between neighbouring states, scaled by transition"
    tops = np.array([[float(v) for v in r.split()] for r in heat.values.split("/")]).max(axis=0)
    assert (tops == 1).all()


def test_tokens_beyond_those_drawn_still_scale_the_columns() -> None:
    one = documents.probe(0, tokens=token_chart.MAX_TOKENS + 1)
    loud = dataclasses.replace(one.tokens[-1], divergence=[1.0] * 30)
    probe = dataclasses.replace(one, tokens=[*one.tokens[:-1], loud])
    heat = heat_map.heat_map(probe, dataclasses.replace(JSD, scaled=True))
    assert heat is not None
    values = [[float(v) for v in row.split()] for row in heat.values.split("/")]
    assert len(values) == token_chart.MAX_TOKENS
    np.testing.assert_allclose(values[0], one.tokens[0].divergence, rtol=6e-3)


@pytest.mark.parametrize("index", [None, [], [1e-5], [float("nan")] * 30, [0.0] * 30])
def test_a_document_whose_index_is_missing_or_ragged_is_drawn_all_the_same(index: list) -> None:
    audit = documents.paper_mode(2)
    (first, *others) = audit.probes[0].tokens
    bent = dataclasses.replace(
        audit.probes[0], tokens=[dataclasses.replace(first, paper_index=index), *others]
    )
    for probes in ([bent], [dataclasses.replace(bent, tokens=bent.tokens[:1])]):
        for scaling in ("none", "paper"):
            subject = dataclasses.replace(audit.subject, scaling=scaling)
            made = dataclasses.replace(audit, subject=subject, probes=probes)
            page = html.render(made)
            assert not re.search(r"\bnan\b", page, re.IGNORECASE)


def test_a_document_from_before_there_were_modes_is_read() -> None:
    text = documents.audit(1).to_json()
    for field in ("divergence", "scaling", "mode"):
        text = re.sub(rf'\n *"{field}": "[^"]*",?', "", text, count=1)
    text = re.sub(r",(\s*\})", r"\1", text)
    assert Audit.from_json(text).subject.divergence == "jsd"
