"""Answers as people read them, and what two of them share."""

from __future__ import annotations

import dataclasses

import pytest

from lvlm_audit.document import Audit, RedecodedAnswer
from lvlm_audit.report import html
from lvlm_audit.report.differences import side_by_side
from lvlm_audit.report.spoken import spoken
from tests.report import documents
from tests.report.pages import read


def ended(audit: Audit) -> Audit:
    """As documents were written earlier: answers with their end of sequence."""
    probes = [
        dataclasses.replace(p, answer="".join(t.text for t in p.tokens)) for p in audit.probes
    ]
    assert all(p.answer.endswith("<|im_end|>") for p in probes)
    return dataclasses.replace(audit, probes=probes)


def test_no_answer_ends_with_a_control_token() -> None:
    audit = ended(documents.audit(probes=40))
    assert all("<|im_end|>" not in spoken(p) for p in audit.probes)
    page = html.render(audit)
    answers = [
        part.split("</dd>")[0].split('<p class="chips">')[0]
        for part in page.split("<dt>Answer</dt><dd>")[1:]
    ]
    table = page[page.index('<table class="rows"') :]
    assert len(answers) > 20
    assert not any("im_end" in said for said in [*answers, table[: table.index("</table>")]])


def test_the_text_of_an_answer_that_says_such_a_word_is_kept() -> None:
    probe = documents.probe(0, tokens=3)
    assert spoken(dataclasses.replace(probe, answer="Write <|im_end|> here")) == (
        "Write <|im_end|> here"
    )


def test_words_that_are_equal_are_not_marked() -> None:
    audit = ended(documents.audit())
    assert audit.corrections is not None
    one = audit.corrections.interventions[0]
    said = spoken(audit.probes[0])
    same = dataclasses.replace(
        one, differing=[RedecodedAnswer("scene-0000", said, said.replace("blue", "yellow"))]
    )
    audit = dataclasses.replace(
        audit, corrections=dataclasses.replace(audit.corrections, interventions=[same])
    )
    page = html.render(audit)
    card = page[page.index('<article class="probe word">') :]
    marked = card[card.index("<tbody>") : card.index("</tbody>")]
    assert marked.count("<mark>") == 1
    assert "<mark>yellow</mark>" in marked


@pytest.mark.parametrize("extra", ["", " and more", " x" * 400])
def test_a_cut_marks_no_word_that_both_texts_have(extra: str) -> None:
    text = "A blue banana lies next to a red heart. " * 10
    left, right = side_by_side(text, text.strip() + extra, 100)
    assert not any(run.only for run in left + right)
    assert left[-1].text == "…"
    for side in (left, right):
        words = " ".join(run.text for run in side).removesuffix(" …").split()
        assert words == text.split()[: len(words)]


def test_a_word_longer_than_the_room_is_cut() -> None:
    left, right = side_by_side("x" * 10_000, "y", 100)
    assert [len(run.text) for run in left] == [100]
    assert right[0].only


def test_a_page_of_a_hundred_thousand_words_reads_like_one() -> None:
    left, _ = side_by_side("word " * 100_000, "", 600)
    assert len(read(f"<p>{left[0].text}</p>").text) <= 600
