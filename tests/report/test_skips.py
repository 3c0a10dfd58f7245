"""The section about skipped blocks: every number of it, differences marked, hostile text inert."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.report import html
from lvlm_audit.report.differences import MAX_CHARACTERS, side_by_side
from tests.report import documents


def section() -> str:
    page = html.render(documents.audit())
    found = page[page.index('<section id="skips"') : page.index('<section id="uses"')]
    # No number is torn from its unit at the end of a line.
    return found.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


def test_every_set_is_shown_with_its_blocks_and_numbers() -> None:
    shown = section()
    for text in ("skip.1", "19–21", "18–19", "24–25, 28", "0.212", "42.1 %", "75 % → 50 %"):
        assert text in shown, text
    assert "could not be formed: <bdi>no critical layer was located</bdi>" in shown
    assert "9 answers changed (2 shown)" in shown
    # A divergence has no upper end below five images.
    assert "1.5</td>" in shown.replace("\n", "")


def test_only_what_differs_is_marked() -> None:
    shown = section()
    assert "The banana is <mark>blue.</mark>" in shown
    assert "The banana is <mark>yellow.</mark>" in shown
    assert '<span class="dim">(nothing)</span>' in shown


def test_an_audit_without_skip_sets_has_no_such_section() -> None:
    page = html.render(documents.audit(skips=None))
    assert 'id="skips"' not in page
    assert 'href="#skips"' not in page


WORDS = st.lists(st.sampled_from(["a", "b", "c", "<b>"]), max_size=12).map(" ".join)


@given(WORDS, WORDS)
def test_both_sides_keep_their_words_and_share_what_is_not_marked(one: str, other: str) -> None:
    left, right = side_by_side(one, other)
    assert " ".join(run.text for run in left) == one
    assert " ".join(run.text for run in right) == other
    shared = [[run.text for run in side if not run.only] for side in (left, right)]
    assert " ".join(shared[0]).split() == " ".join(shared[1]).split()
    if one == other:
        assert not any(run.only for run in left)


def test_long_texts_are_cut() -> None:
    left, _ = side_by_side("word " * 3000, "")
    assert len(left[0].text) <= MAX_CHARACTERS
