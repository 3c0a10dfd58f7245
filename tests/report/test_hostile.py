"""Hostile text is inert: it adds no tag, no attribute, no link and nothing invisible."""

from __future__ import annotations

import functools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.document import Audit
from lvlm_audit.report import html
from tests.effort import examples
from tests.report import attacks, documents
from tests.report.pages import Page, read

TAGS = {
    "a", "article", "bdi", "body", "br", "circle", "code", "dd", "details", "div", "dl", "dt",
    "figcaption", "figure", "footer", "g", "h1", "h2", "h3", "h4", "head", "header", "html", "i",
    "image", "img", "label", "li", "link", "main", "mark", "meta", "nav", "option", "output", "p", "path",
    "rect", "script", "section", "select", "span", "strong", "style", "sub", "summary", "svg",
    "table", "tbody", "td", "text", "th", "thead", "title", "tr", "ul",
}  # fmt: skip
CONTROLS = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


@functools.cache
def harmless() -> Page:
    """The same page with harmless text."""
    return read(html.render(documents.compared(probes=2)))


def assert_inert(audit: Audit) -> Page:
    rendered = html.render(audit)
    rendered.encode("utf-8")
    assert not CONTROLS.search(rendered)
    page = read(rendered)
    assert {tag for tag, _ in page.tags} <= TAGS
    known = {name for _, attrs in harmless().tags for name in attrs}
    assert {name for _, attrs in page.tags for name in attrs} <= known
    assert len(page.raw["script"]) == len(page.raw["style"]) == 1
    assert page.raw == harmless().raw
    for tag, attrs in page.tags:
        if tag == "a":
            assert re.fullmatch(r"#[a-z]+(-[a-z0-9]+)?", attrs["href"] or "")
        classes = (attrs.get("class") or "").split()
        assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in classes)
    return page


def test_all_attacks_at_once() -> None:
    page = assert_inert(attacks.hostile())
    assert "<script>alert(1)</script>" in page.text
    assert "⟨U+202E⟩" in page.text


@pytest.mark.parametrize("attack", attacks.ATTACKS, ids=range(len(attacks.ATTACKS)))
def test_each_attack_everywhere(attack: str) -> None:
    assert_inert(attacks.hostile(attack))


@examples(6)
@given(st.text(alphabet=st.characters(), max_size=60))
def test_any_text_everywhere(text: str) -> None:
    assert_inert(attacks.hostile(text))


def test_hostile_text_is_isolated_from_its_surroundings() -> None:
    rendered = html.render(attacks.hostile("مرحبا"))
    body = rendered[rendered.index("<h1") : rendered.index("<script")]
    for found in re.finditer(r">([^<]*مرحبا[^<]*)<", body):
        before = body[: found.start() + 1]
        opening = before.rsplit("<", 1)[1]
        # bdi isolates; an SVG text, a title and a table cell are paragraphs of their own. A marked word
        # belongs to the text around it, which is isolated as a whole.
        marked = opening in {"mark>", "/mark>"} and before.count("<bdi") > before.count("</bdi")
        assert marked or re.match(r"(bdi|text|title|td|th|p|strong)\b", opening), opening
