"""What the report and the terminal say of controls, grounding and the decoder alone."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from lvlm_audit.document import Audit, GroundingReading
from lvlm_audit.probes.controlled import EXPECTATIONS
from lvlm_audit.report import html
from lvlm_audit.report.drawing.overlay import overlay
from lvlm_audit.report.sections import decoder
from lvlm_audit.report.terminal.summary import summary
from lvlm_audit.settings.declared import AUDIT
from tests.report import documents
from tests.report.pages import read


def said(audit: Audit, width: int = 100) -> str:
    text = io.StringIO()
    summary(audit, Console(file=text, width=width))
    return " ".join(text.getvalue().split())


def under(control: str, **changes: object) -> Audit:
    subject = dataclasses.replace(
        documents.subject(), control=control, control_note=EXPECTATIONS[control]
    )
    return documents.audit(subject=subject, **changes)


@pytest.mark.parametrize("control", AUDIT["control"].choices)
def test_a_control_is_named_at_the_top_with_what_to_expect(control: str) -> None:
    audit = under(control)
    page = " ".join(read(html.render(audit)).text.split())
    for text in (page, said(audit)):
        assert f"Control: {control}." in text
        assert EXPECTATIONS[control] in text
    assert page.index(f"Control: {control}.") < page.index("Stages")


def test_a_run_without_control_names_none() -> None:
    assert "Control:" not in said(documents.audit())
    assert "Control:" not in html.render(documents.audit())


def test_prompts_are_counted_where_images_tell_nothing() -> None:
    assert "with 2 distinct prompts" in said(under("blank-image"))
    assert "on 2 images" in said(under("swapped-image"))


def test_grounding_is_one_line_and_one_section_with_both_curves() -> None:
    audit = documents.audit()
    assert "image enters at state 14" in said(audit)
    assert "93 % of the peak left at the end (3 of 61 content tokens ungrounded)" in said(audit)
    page = read(html.render(audit))
    text = " ".join(page.text.split())
    assert "own image against no image" in text
    assert "61 content tokens on 16 images" in text
    assert "0.84 bit" in text
    assert ("a", {"href": "#grounding"}) in page.tags


def test_grounding_that_was_not_measured_says_why() -> None:
    audit = documents.audit(grounding=GroundingReading(False, "Not measured: it insists."))
    assert "image Not measured: it insists." in said(audit)
    text = " ".join(read(html.render(audit)).text.split())
    assert "Not measured: it insists." in text
    assert "Own image against none" not in text


def test_the_decoder_takes_two_lines_and_a_section() -> None:
    audit = documents.audit()
    assert "decoder alone, 12 distinct prompts" in said(audit)
    assert "critical layer, with images minus without: −3 [−4, −2] states" in said(audit)
    text = " ".join(read(html.render(audit)).text.split())
    assert "Against the language model inside it" in text
    assert "−25 points" in text
    assert "full range: fewer than 5 images or prompts" in text


def test_documents_of_before_have_neither() -> None:
    audit = documents.audit(grounding=None, decoder=None)
    page = html.render(audit)
    assert 'id="grounding"' not in page
    assert 'id="decoder"' not in page
    assert "decoder alone" not in said(audit)
    assert decoder.section(audit) is None


def test_two_curves_share_their_axes() -> None:
    audit = documents.audit()
    assert audit.grounding is not None
    one, two = audit.grounding.curves
    drawn = overlay("x", [("a", one), ("b", two)])
    assert drawn is not None
    assert drawn.y.high >= max(v for v in one.high if v is not None)
    assert [d.name for d in drawn.drawn] == ["a", "b"]
    # The same value lies at the same height in both.
    assert drawn.y(0.0) == drawn.y.start
    assert overlay("x", []) is None


def test_the_decoder_with_nothing_to_read_is_drawn_with_one_side() -> None:
    found = documents.audit().decoder
    assert found is not None
    bare = dataclasses.replace(found, stages=None, layers=[], differences=[])
    audit = documents.audit(decoder=bare)
    view = decoder.section(audit)
    assert view is not None
    assert len(view.sides) == 1
    assert "no img nothing" in said(audit)
    assert 'id="decoder"' in html.render(audit)
