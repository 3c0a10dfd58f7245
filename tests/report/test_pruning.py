"""The pruning plan as a page, in the terminal and as JSON."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console

from lvlm_audit.document.pruning import PRUNING_SCHEMA
from lvlm_audit.report import html
from lvlm_audit.report.drawing.loss_chart import loss_chart
from lvlm_audit.report.sections.nominations import ranked
from lvlm_audit.report.terminal.pruning import show
from tests.report.attacks import ATTACKS
from tests.report.pages import read
from tests.report.plans import plan
from tests.report.test_hostile import CONTROLS


def said(found, width: int = 140) -> str:
    raw = io.StringIO()
    show(found, Console(file=raw, width=width))
    return raw.getvalue()


def test_the_page_holds_every_figure():
    page = " ".join(
        re.sub(r"<[^>]+>", " ", html.render(plan())).replace("\N{NO-BREAK SPACE}", " ").split()
    )
    for words in (
        "2 blocks certified", "SLEB, Block Influence", "0.05 [0.03, 0.09]", "4–5, 7", "not certified", "× 0.81",
        "200 of 1,000", "by at most 0.000001, where logits reach 12.5", "Block Influence",
        "the answers show no stabilization stage", "50 % of the answers stay the same [20 %, 80 %]",
    ):  # fmt: skip
        assert words in page
    assert "nothing certified" in re.sub(r"\s+", " ", html.render(plan(certified=False)))


def test_only_the_words_that_differ_are_marked():
    page = html.render(plan())
    assert re.findall(r"<mark>(.*?)</mark>", page) == ["blue", "yellow"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_text_stays_text(attack):
    rendered = html.render(plan(attack))
    rendered.encode("utf-8")
    assert not CONTROLS.search(rendered)
    page, harmless = read(rendered), read(html.render(plan()))
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in harmless.tags}
    assert {n for _, attrs in page.tags for n in attrs} <= {
        n for _, attrs in harmless.tags for n in attrs
    }
    assert page.raw == harmless.raw
    text = said(plan(attack), 70)
    assert "\x1b]8" not in text
    assert "\x07" not in text
    text.encode("utf-8")


def test_the_terminal_says_what_is_certified_and_what_is_not():
    text = " ".join(said(plan()).replace("\N{NO-BREAK SPACE}", " ").split())
    assert "2 4–5 0.04 [0.024, 0.072] 0.05 [0.03, 0.09] within" in text
    assert "3 4–5, 7 0.24 [0.16, 0.416] 0.3 [0.2, 0.52] not certified" in text
    assert "saves 200 of 1,000 parameters (20 %)" in text
    assert "whole: It is a blue banana." in text
    assert "(not certified)" in " ".join(said(plan(certified=False)).split())


def test_the_document_is_plain_json():
    found = json.loads(plan().to_json())
    assert (found["schema"], found["schema_version"]) == (PRUNING_SCHEMA, 1)
    assert found["candidates"][1]["certification"]["high"] == 0.09
    assert found["methods"][1]["scores"] == [None] * 10


def test_ranks_are_those_that_the_sets_follow():
    cells = ranked([0.3, None, 0.1, 0.1, 0.2])
    assert [c.rank for c in cells] == [4, None, 2, 1, 3]
    assert [c.shade for c in cells] == [0, 0, 6, 9, 3]


def test_the_chart_puts_values_where_they_are():
    found = plan()
    chart = loss_chart(found.candidates, found.budget, found.unit)
    for size, (stick, one) in enumerate(
        zip(chart.certification.sticks, found.candidates, strict=True), 1
    ):
        assert stick.y == pytest.approx(chart.y(one.certification.value))
        assert stick.x == pytest.approx(chart.x(size) + 5)
        assert stick.high <= stick.y <= stick.low
        assert not stick.cut
    assert chart.budget == chart.y(0.1)
    assert loss_chart([], 0.1, "bits a token").certification.sticks == []
