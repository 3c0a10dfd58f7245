"""Tokens as people read them: nothing blank, and no two different ones alike beside each other."""

from __future__ import annotations

import dataclasses
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.document import Leader, Reversal
from lvlm_audit.report import html
from lvlm_audit.report.words import token, tokens_apart
from tests.report import documents
from tests.report.pages import read


@pytest.mark.parametrize(
    ("text", "shown", "narrow"),
    [
        ("\u00a0", "U+00A0 NO-BREAK SPACE", "U+00A0"),
        (" \u00a0", "U+00A0 NO-BREAK SPACE", "U+00A0"),
        ("\u3000\u3000", "U+3000 IDEOGRAPHIC SPACE ×2", "U+3000 ×2"),
        ("\u200d", "U+200D ZERO WIDTH JOINER", "U+200D"),
        ("\ufe0f", "U+FE0F VARIATION SELECTOR-16", "U+FE0F"),
        ("\u2800", "U+2800 BRAILLE PATTERN BLANK", "U+2800"),
        ("\u0301", "U+0301 COMBINING ACUTE ACCENT", "U+0301"),
        ("\u00a0No", "⟨U+00A0⟩No", "⟨U+00A0⟩No"),
        ("  ", "␣␣", "␣␣"),
        ("", "∅", "∅"),
        ("\n", "↵", "↵"),
    ],
)
def test_what_cannot_be_seen_has_a_name(text: str, shown: str, narrow: str) -> None:
    assert token(text) == shown
    assert token(text, 11) == narrow


@given(st.text(max_size=8))
def test_no_label_is_blank(text: str) -> None:
    for limit in (11, 24):
        label = token(text, limit)
        assert any(unicodedata.category(c)[0] not in "ZC" and not c.isspace() for c in label) or (
            # Letters of private use and unassigned ones are drawn as boxes.
            any(unicodedata.category(c) in {"Co", "Cn"} for c in label)
        )


@given(
    st.lists(st.sampled_from(["No", " No", "No ", " No ", "no", "x" * 30, "x" * 31, "\u00a0No"]))
)
def test_different_tokens_beside_each_other_look_different(texts: list[str]) -> None:
    for limit in (11, 24):
        labels = tokens_apart(texts, limit)
        assert set(labels) == set(texts)
        assert len(set(labels.values())) == len(labels)


def test_spaces_are_marked_only_where_they_tell_tokens_apart() -> None:
    assert tokens_apart(["No", " No", " Yes"]) == {"No": "No", " No": "␣No", " Yes": "Yes"}


def test_a_reversal_between_a_word_and_itself_shows_its_space() -> None:
    audit = documents.audit()
    change = Reversal("scene-0000", " No", 0, 28, "No", " No", 0.3)
    page = html.render(
        dataclasses.replace(audit, uses=dataclasses.replace(audit.uses, reversals=[change]))
    )
    text = read(page[page.index('<section id="uses"') : page.index('<section id="probes"')]).text
    assert "No → ␣No" in text
    assert "No → No" not in text


def test_blank_leaders_are_named_in_the_table_of_leaders() -> None:
    audit = documents.audit(probes=1)
    (probe,) = audit.probes
    tokens = [
        dataclasses.replace(t, leaders=["\u00a0", "No", " No", *t.leaders[3:]])
        for t in probe.tokens
    ]
    page = html.render(
        dataclasses.replace(audit, probes=[dataclasses.replace(probe, tokens=tokens)])
    )
    lens = page[page.index('<table class="lens">') :]
    lens = lens[: lens.index("</table>")]
    assert 'title="U+00A0 NO-BREAK SPACE">U+00A0<' in lens
    assert ">No<" in lens
    assert ">␣No<" in lens


def test_a_word_that_replaced_itself_without_its_space() -> None:
    audit = documents.audit()
    assert audit.hallucination is not None
    (first, *_) = audit.hallucination.tokens
    leaders = [Leader("blue", [0.1] * 31), Leader(" yellow", [0.2] * 31)]
    first = dataclasses.replace(first, before="blue", leaders=leaders)
    reading = dataclasses.replace(audit.hallucination, tokens=[first])
    page = html.render(dataclasses.replace(audit, hallucination=reading))
    card = page[page.index('<article class="probe word">') :]
    text = read(card[: card.index("</article>") + 10]).text
    assert "blue → ␣blue" in text
    assert "blue → blue" not in text
