"""The section about hallucinated words: signals, corrections, and words from close by."""

from __future__ import annotations

import dataclasses

from lvlm_audit.report import html
from lvlm_audit.report.sections import hallucination
from tests.report import documents


def section(**changes) -> str:
    page = html.render(documents.audit(**changes))
    found = page[page.index('<section id="hallucination"') :]
    found = found[: found.index("\n<section id=") if "\n<section id=" in found else None]
    return found.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


def test_every_signal_is_shown_with_interval_base_rate_and_chance() -> None:
    shown = section()
    for text in (
        "lead loss",
        "0.71",
        "[0.58, 0.83]",
        "0.44",
        "churn",
        "holds chance",
        "combination",
    ):
        assert text in shown, text
    assert shown.count("holds chance") == 1
    assert "Not measured: the image holds no positions" in shown
    assert "25 %" in shown
    assert "Labels: <bdi>POPE" in shown
    assert "not known: no answer without an image" in shown
    assert "language prior: said without the image too" in shown


def test_what_interventions_corrected_and_broke() -> None:
    shown = section()
    for text in ("DoLa (low)", "3 of 8", "37.5 %", "2 of 24", "harms", "23–28"):
        assert text in shown, text
    # The card says what became of its own word, and marks what the answer says now.
    assert "corrected" in shown
    assert "<mark>" in shown


def test_a_card_shows_the_word_in_its_answer_with_its_rivals() -> None:
    made = documents.audit()
    view = hallucination.section(made)
    assert view is not None
    card = view.cards[0]
    probe = made.probes[0]
    assert card.before + probe.tokens[card.token.position].text + card.after == "".join(
        t.text for t in probe.tokens
    )
    assert card.chart is not None
    assert [s.label for s in card.chart.series][1:] == ["yellow"]
    # The most suspicious first.
    suspicion = [c.token.suspicion or 0 for c in view.cards]
    assert suspicion == sorted(suspicion, reverse=True)


def test_tokens_that_the_document_does_not_hold_have_no_card() -> None:
    made = documents.audit()
    reading = made.hallucination
    assert reading is not None
    lost = dataclasses.replace(reading.tokens[0], probe="elsewhere")
    beyond = dataclasses.replace(reading.tokens[0], position=999)
    view = hallucination.section(
        dataclasses.replace(made, hallucination=dataclasses.replace(reading, tokens=[lost, beyond]))
    )
    assert view is not None
    assert view.cards == []
    assert view.left_out == 2


def test_each_half_alone() -> None:
    only_signals = section(corrections=None)
    assert "What corrects them" not in only_signals
    assert "Nothing was asked anew; --lvlm-redecode does so." in only_signals
    only_corrections = section(hallucination=None)
    assert "How well each signal" not in only_corrections
    assert "DoLa (low)" in only_corrections


def test_without_labels_there_is_no_such_section() -> None:
    page = html.render(documents.audit(hallucination=None, corrections=None))
    assert 'id="hallucination"' not in page
    assert 'href="#hallucination"' not in page
