"""The section about hallucinated words: signals, corrections, and words from close by."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.document import (
    Audit,
    Interval,
    InterventionReading,
    LabelledToken,
    ProbeReading,
    RedecodedAnswer,
    WordFate,
)
from lvlm_audit.report import html
from lvlm_audit.report.drawing.candidate_chart import candidate_chart
from lvlm_audit.report.drawing.paths import line
from lvlm_audit.report.sections import hallucination
from lvlm_audit.report.sections.hallucinated_word import Card, fate_of
from tests.report import documents
from tests.report.pages import read


def section(**changes: Any) -> str:
    page = html.render(documents.audit(**changes))
    found = page[page.index('<section id="hallucination"') :]
    # No number is torn from its unit at the end of a line.
    return found[: found.index('<section id="skips"')].replace("\N{NO-BREAK SPACE}", " ")


def words_of(html_text: str) -> str:
    return " ".join(re.sub("<[^>]*>", " ", html_text).split())


def view(audit: Audit) -> hallucination.Hallucination:
    made = hallucination.section(audit)
    assert made is not None
    return made


def with_tokens(tokens: list[LabelledToken], **changes: Any) -> Audit:
    made = documents.audit(**changes)
    assert made.hallucination is not None
    reading = dataclasses.replace(made.hallucination, tokens=tokens)
    return dataclasses.replace(made, hallucination=reading)


def _with_probes(audit: Audit, probes: list[ProbeReading]) -> Audit:
    return dataclasses.replace(audit, probes=probes)


def test_the_summary_names_scheme_counts_base_rate_and_kinds() -> None:
    shown = words_of(section())
    for text in (
        "Labels: POPE: everything else counts as yes",
        "32 12 images; 2 more do not count",
        "8, 25 % [12 %, 40 %]",
        "3 of 8 said without the image too; the others are misread",
    ):
        assert text in shown, text


def test_every_signal_is_shown_with_its_numbers_and_chance() -> None:
    shown = words_of(section())
    table = shown[shown.index("How well each signal") : shown.index("What corrects them")]
    for text in (
        "lead_loss what makes a word suspicious by lead_loss 0.71 [0.58, 0.83] 0.44 [0.3, 0.6] "
        "50 %, 21 % above 0.1 +0.08 [−0.1, +0.2] 0.6 [0.38, 0.61] 3 words —",
        "churn what makes a word suspicious by churn 0.5 [0.38, 0.61] not shown to beat chance",
        "Not measured: the image holds no positions",
        "Average precision (chance 0.25)",
        "Somebody 2024, arXiv 2400.00000 ; 8 hallucinated and 24 correct words of 12 images",
    ):
        assert text in table, text
    # The combination is the last row.
    assert table.index("by image_confidence") < table.index("combination what makes")
    assert table.count("not shown to beat chance") == 1


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.51, 0.8, ""),
        (0.5, 0.8, "not shown to beat chance"),
        (0.0, 1.0, "not shown to beat chance"),
        (0.2, 0.5, "not shown to beat chance"),
        (0.2, 0.49, "worse than chance"),
    ],
)
def test_chance_is_told_by_the_interval(low: float, high: float, said: str) -> None:
    reading = documents.hallucination()
    score = dataclasses.replace(
        reading.signals[0], auroc_interval=Interval(low, high, 0.95, "cluster bootstrap")
    )
    made = view(
        documents.audit(
            hallucination=dataclasses.replace(reading, signals=[score], combination=None)
        )
    )
    assert [row.against_chance for row in made.signals] == [said]
    # The line of chance stands in the middle of the scale.
    whisker = made.signals[0].whisker
    assert whisker is not None
    assert whisker.mark == (whisker.start + whisker.end) / 2


def test_what_interventions_corrected_broke_and_lost() -> None:
    shown = words_of(section())
    for text in (
        "DoLa (low) contrasts the last state with an early one 5 of 12 answers changed "
        "3 of 8 37.5 % [5 %, 60 %] "
        "2 of 24 8.3 % [5 %, 60 %] 7, 0 −3 points [−10, +5] harms "
        "1 of 3 33.3 % [5 %, 60 %] —",
        "4 are said again and 1 became another wrong one; 6 appeared",
        "Of the new answers' 29 labelled words, 13 are hallucinated",
        "blocks 23–28 Not measured: no set could be formed",
        "Chuang et al. 2023",
    ):
        assert text.replace("'", "&#39;") in shown or text in shown, text
    assert "0 of 0" not in shown
    made = view(documents.audit())
    assert made.net_scale == 0.1
    assert "−10 to +10 points" in shown
    (measured, missing) = made.interventions
    assert measured.net is not None
    assert measured.net.low == measured.net.start
    assert measured.net.mark == (measured.net.start + measured.net.end) / 2
    assert missing.net is None


def test_a_card_shows_the_word_its_turn_and_what_became_of_it() -> None:
    shown = section()
    card = words_of(shown[shown.index("<article") : shown.index("</article>")])
    for text in (
        "1 blue instead of yellow",
        "A blue banana lies next to a red heart.",
        "prior-driven: said without the image too",
        "at state 24: red → blue",
        "yellow (expected)",
        "DoLa (low) corrected : yellow",
        "lead_loss 0.2, churn 3",
        "all together: rank 90 %, where 100 % is the most suspicious",
    ):
        assert text in card, text
    assert "A <mark>blue</mark> banana" in shown
    assert "<mark>yellow</mark>" in shown
    # A value that does not exist is not shown.
    assert "image_confidence" not in card
    assert '<a href="#probe-' in shown


def test_cards_hold_the_whole_answer_and_come_by_suspicion() -> None:
    made = view(documents.audit())
    assert [card.token.probe for card in made.cards] == ["scene-0000", "scene-0002"]
    assert [card.token.probe for card in made.controls] == ["scene-0001", "scene-0003"]
    for card in [*made.cards, *made.controls]:
        said = "".join(one.text for one in card.probe.tokens if one.kind != "special")
        assert card.before + card.word + card.after == said
    assert made.cards[1].outcomes[0].fate.outcome == "gone"
    assert made.cards[1].outcomes[0].answer is None
    assert made.controls[0].unreported == ["DoLa (low)"]
    shown = section()
    assert "Not reported as lost under <bdi>DoLa (low)</bdi>" in shown
    assert shown.index("from close by") < shown.index("Correct words for comparison")


def test_a_word_of_several_pieces_is_marked_whole() -> None:
    probe = documents.probe(0)
    pieces = [
        documents.token(" bl", "content", 30, 1),
        documents.token("ue", "continuation", 30, 2),
    ]
    probe = dataclasses.replace(probe, tokens=[probe.tokens[0], *pieces, *probe.tokens[2:]])
    token = dataclasses.replace(documents.hallucination().tokens[0], token=" bl")
    (card,) = view(_with_probes(with_tokens([token], probes=0), [probe])).cards
    assert (card.before, card.word) == ("A ", "blue")
    assert [one.fate.now for one in card.outcomes] == ["yellow"]


def test_only_the_surroundings_of_a_word_are_shown_of_a_long_answer() -> None:
    probe = documents.probe(0, tokens=600)
    token = dataclasses.replace(documents.hallucination().tokens[0], position=301)
    (card,) = view(_with_probes(with_tokens([token], probes=0), [probe])).cards
    assert len(card.before) == len(card.after) == 240
    assert card.before.startswith("…")
    assert card.after.endswith("…")
    said = "".join(one.text for one in probe.tokens)
    assert card.before[1:] + card.word + card.after[:-1] in said


def test_tokens_that_the_document_does_not_hold_have_no_card() -> None:
    token = documents.hallucination().tokens[0]
    lost = dataclasses.replace(token, probe="elsewhere")
    made = view(with_tokens([lost, dataclasses.replace(token, position=999)]))
    assert made.cards == []
    assert made.left_out == 2


def test_the_most_suspicious_cards_are_kept_and_the_others_counted() -> None:
    token = documents.hallucination().tokens[0]
    many = [dataclasses.replace(token, suspicion=(7 * i % 60) / 100) for i in range(60)]
    made = view(with_tokens(many))
    assert len(made.cards) == 8
    kept = [card.token.suspicion for card in [*made.cards, *made.folded]]
    assert kept == [i / 100 for i in range(59, 35, -1)]
    assert made.left_out == 36
    assert "24 of 60, the most suspicious first" in html.render(with_tokens(many))
    unranked = html.render(with_tokens([dataclasses.replace(token, suspicion=None)] * 60))
    assert "24 of 60</span>" in unranked
    assert "most suspicious" not in unranked


@pytest.mark.parametrize(
    ("own", "best", "said"),
    [
        (0.6, 0.6, "never: it leads from the start"),
        (0.2, 0.6, "never: another token leads at the end"),
        (math.nan, 0.6, "not known"),
    ],
)
def test_a_token_that_never_turned_says_why(own: float, best: float, said: str) -> None:
    probe = documents.probe(0)
    token = probe.tokens[1]
    token = dataclasses.replace(
        token,
        probability=[*token.probability[:-1], own],
        leader_probability=[*token.leader_probability[:-1], best],
    )
    probe = dataclasses.replace(probe, tokens=[probe.tokens[0], token, *probe.tokens[2:]])
    labelled = dataclasses.replace(documents.hallucination().tokens[0], state=None)
    audit = _with_probes(with_tokens([labelled], probes=0), [probe])
    (card,) = view(audit).cards
    assert card.turned == said
    page = html.render(audit)
    assert said in page
    assert not re.search(r"\b(nan|None)\b", read(page).text)


def test_candidates_are_the_curves_in_numbers() -> None:
    (card,) = view(with_tokens(documents.hallucination().tokens[:1])).cards
    read_token = card.probe.tokens[1]
    assert [one.text for one in card.candidates] == [" blue", " yellow"]
    for one, curve in zip(
        card.candidates, (read_token.probability, read_token.rivals[0]["probability"]), strict=True
    ):
        assert one.most == max(curve)
        assert one.at == curve.index(max(curve))
        assert one.final == curve[-1]
    assert [one.expected for one in card.candidates] == [False, True]
    alone = dataclasses.replace(read_token, rivals=[])
    tokens = [card.probe.tokens[0], alone, *card.probe.tokens[2:]]
    audit = with_tokens(documents.hallucination().tokens[:1], probes=0)
    page = html.render(_with_probes(audit, [dataclasses.replace(card.probe, tokens=tokens)]))
    assert "no rival was kept" in page
    assert "no rival was kept" not in section()


def test_a_chart_draws_every_candidate_and_leaves_gaps() -> None:
    read_token = documents.token(" blue", "content", 30, 1, flip=True)
    rival = [0.5, None, 0.2, *[0.1] * 28]
    read_token = dataclasses.replace(read_token, rivals=[{"text": "a,b", "probability": rival}])
    chart = candidate_chart(read_token, documents.stages(), 28)
    assert chart is not None
    own, other = chart.candidates
    assert own.path == line(read_token.probability, chart.x, chart.y)
    # The missing value is a gap, no zero.
    assert other.path.count("M") == 2
    assert chart.turned == chart.x(28)
    assert chart.flips
    assert chart.flips[0][0] == chart.x(28)
    assert abs(own.label_y - other.label_y) >= 13
    assert chart.shades
    outside = candidate_chart(read_token, documents.stages(), 31)
    assert outside is not None
    assert outside.turned is None
    bare = dataclasses.replace(read_token, probability=[])
    assert candidate_chart(bare, documents.stages()) is None


def fate(said: str, outcome: str, **changes: Any) -> WordFate:
    made = WordFate("scene-0000", said, said, None, "yellow", True, None, outcome)
    return dataclasses.replace(made, **changes)


def under(*fates: WordFate) -> InterventionReading:
    return dataclasses.replace(documents.corrections().interventions[0], fates=list(fates))


def test_a_fate_is_told_only_where_it_is_this_words() -> None:
    token = documents.hallucination().tokens[0]
    blue = fate("blue", "kept")
    assert fate_of(under(blue), token) == blue
    # A word's first piece names it.
    assert fate_of(under(blue), dataclasses.replace(token, token=" bl")) == blue
    for other in (
        fate("red", "kept"),
        fate("blue", "kept", probe="scene-0001"),
        fate("blue", "kept", expected="red"),
        fate("blue", "broken", hallucinated=False),
    ):
        assert fate_of(under(other), token) is None
        assert fate_of(under(other, blue), token) == blue
    # Two words of one look: told apart by their order, where both have a fate.
    two = under(fate("blue", "kept", slot="1"), fate("blue", "corrected", slot="2"))
    told = [fate_of(two, token, (i, 2)) for i in range(2)]
    assert [one.outcome for one in told if one is not None] == ["kept", "corrected"]
    assert fate_of(two, token, (0, 3)) is None
    # Of two correct words that look the same, one was lost: not told which.
    right = dataclasses.replace(token, truth="correct", expected=None)
    lost = fate("blue", "broken", hallucinated=False, expected=None)
    assert fate_of(under(lost), right, (0, 2)) is None
    assert fate_of(under(lost), right, (0, 1)) == lost


@given(
    st.lists(
        st.tuples(st.sampled_from(["blue", "red"]), st.sampled_from(["kept", "corrected", "gone"])),
        max_size=5,
    ),
    st.integers(1, 4),
)
def test_a_told_fate_is_among_the_words_own(told: list[tuple[str, str]], alike: int) -> None:
    token = documents.hallucination().tokens[0]
    reading = under(*(fate(*one) for one in told))
    own = [outcome for said, outcome in told if said == "blue"]
    for place in range(alike):
        found = fate_of(reading, token, (place, alike))
        if found is not None:
            assert found.said == "blue"
            assert found.outcome in own
            assert len(set(own)) == 1 or own[place] == found.outcome


def test_a_page_of_long_answers_and_many_interventions_stays_small() -> None:
    probe = documents.probe(0, tokens=400)
    probes = [dataclasses.replace(probe, id=f"scene-{i:04d}") for i in range(200)]
    token = documents.hallucination().tokens[0]
    many = [
        dataclasses.replace(token, probe=one.id, position=9 * j) for one in probes for j in range(9)
    ]
    corrections = documents.corrections()
    anew = dataclasses.replace(
        corrections.interventions[0],
        fates=[fate("blue", "kept", probe=one.id) for one in probes],
        differing=[RedecodedAnswer(one.id, one.answer, "noise " * 4000) for one in probes],
    )
    audit = _with_probes(with_tokens(many, probes=0), probes)
    audit = dataclasses.replace(
        audit,
        corrections=dataclasses.replace(
            corrections,
            interventions=[dataclasses.replace(anew, intervention=f"other {i}") for i in range(6)],
        ),
    )
    made = view(audit)
    cards: list[Card] = [*made.cards, *made.folded]
    assert [len(card.outcomes) for card in cards] == [6] * 24
    assert len(html.render(audit).encode()) < 5_000_000


def test_each_half_alone() -> None:
    only_signals = section(corrections=None)
    assert "What corrects them" not in only_signals
    assert "Nothing was asked anew; --lvlm-redecode does so." in only_signals
    only_corrections = section(hallucination=None)
    assert "How well each signal" not in only_corrections
    assert "from close by" not in only_corrections
    assert "Labels: <bdi>POPE" in only_corrections
    assert "DoLa (low)" in only_corrections


def test_what_was_not_told_apart_is_not_shown_as_none() -> None:
    reading = documents.hallucination()
    bare = dataclasses.replace(
        reading,
        prior_driven=None,
        base_rate=None,
        base_rate_interval=None,
        combination=None,
        signals=[
            dataclasses.replace(
                one,
                prior_driven=None,
                misread=None,
                rate_on_correct=None,
                rate_on_hallucinated=None,
            )
            for one in reading.signals
        ],
    )
    shown = words_of(section(hallucination=bare))
    assert "— (no answer without an image)" in shown
    assert "None" not in shown
    assert "combination" not in shown


def test_without_labels_there_is_no_such_section() -> None:
    page = html.render(documents.audit(hallucination=None, corrections=None))
    assert 'id="hallucination"' not in page
    assert 'href="#hallucination"' not in page
