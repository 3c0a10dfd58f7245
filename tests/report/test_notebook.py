"""An audit in a notebook's cell: what it says, that it touches nothing around it, and that text is inert."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from lvlm_audit.document import Audit, Verdict
from lvlm_audit.report.notebook import MAX_FINDINGS, MAX_PROBES
from tests.effort import examples
from tests.report import attacks, documents
from tests.report.pages import Page, read

TAGS = {
    "bdi", "br", "circle", "code", "div", "g", "img", "li", "p", "path", "rect", "span", "strong",
    "style", "svg", "table", "tbody", "td", "text", "th", "thead", "title", "tr", "ul",
}  # fmt: skip
HARMLESS = read(documents.compared()._repr_html_())
CONTROLS = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def assert_inert(audit: Audit) -> Page:
    rendered = audit._repr_html_()
    rendered.encode("utf-8")
    assert not CONTROLS.search(rendered)
    page = read(rendered)
    assert {tag for tag, _ in page.tags} <= TAGS
    names = {name for _, attributes in page.tags for name in attributes}
    assert names <= {name for _, attributes in HARMLESS.tags for name in attributes}
    assert names.isdisjoint({"id", "href", "style", "name"})
    assert page.crossed == []
    assert page.open == []
    assert page.raw == HARMLESS.raw
    assert all(src.startswith("data:image/png;base64,") for src in page.attributes("src"))
    return page


def test_it_says_the_verdict_the_findings_and_the_worst_probes() -> None:
    audit = documents.compared()
    page = assert_inert(audit)
    assert page.tags[0] == ("div", {"class": "lvlm-audit v-fail"})
    assert audit.headline in page.text
    for finding in audit.findings:
        assert finding.check in page.text
        assert finding.statement in page.text
    said = [p for f in audit.findings if f.verdict is Verdict.FAIL for p in f.counterexamples]
    assert said
    assert any(probe in page.text for probe in said)
    assert [tag for tag, _ in page.tags].count("svg") == 1


@pytest.mark.parametrize(
    "audit",
    [documents.passing(), documents.empty(), documents.nothing_applies(), documents.paper_mode()],
    ids=["passing", "empty", "nothing applies", "paper mode"],
)
def test_every_kind_of_audit_has_one(audit: Audit) -> None:
    page = assert_inert(audit)
    assert str(audit.verdict) in page.text
    if not audit.findings:
        assert "This audit holds no finding." in page.text


def test_a_large_audit_stays_small() -> None:
    audit = documents.compared(probes=40)
    many = [
        dataclasses.replace(
            audit.findings[i % len(audit.findings)],
            check=f"check_{i}",
            counterexamples=[p.id for p in audit.probes[:5]],
        )
        for i in range(400)
    ]
    page = assert_inert(dataclasses.replace(audit, findings=many))
    assert len([tag for tag, _ in page.tags if tag == "tr"]) == MAX_FINDINGS + 1
    assert f"{400 - MAX_FINDINGS} findings more" in page.text
    assert page.attributes("class").count("worst-probe") == MAX_PROBES


def test_the_style_holds_inside_alone() -> None:
    (style,) = HARMLESS.raw["style"]
    assert style.startswith(".lvlm-audit {")
    assert style.count("{") == style.count("}")
    assert ":root" not in style
    assert not re.search(r"^body\b(?! >)", style, re.MULTILINE)


def test_all_attacks_at_once() -> None:
    page = assert_inert(attacks.hostile())
    assert "⟨U+" in page.text


@pytest.mark.parametrize("attack", attacks.ATTACKS, ids=range(len(attacks.ATTACKS)))
def test_each_attack_everywhere(attack: str) -> None:
    assert_inert(attacks.hostile(attack))
    assert len(repr(attacks.hostile(attack))) <= 200


@examples(15, allow=[HealthCheck.too_slow])
@given(st.text(alphabet=st.characters(), max_size=60))
def test_any_text_everywhere(text: str) -> None:
    audit = attacks.hostile(text)
    assert_inert(audit)
    assert len(repr(audit)) <= 200
    assert repr(audit).isprintable()


def test_an_audit_in_a_line() -> None:
    assert repr(documents.compared()) == (
        "Audit(verdict='fail', model='demo', findings='4 pass, 2 fail, 1 inconclusive, "
        "1 not applicab…, probes=4, lens='normed')"
    )
    for probe in documents.audit().probes:
        assert len(repr(probe)) <= 200
        assert len(repr(probe.tokens[0])) <= 200
