"""Classes of tokens compared: values counted by hand on hand-made traces."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

from lvlm_audit.document import ClassComparison, ClassValue
from lvlm_audit.readings.classes import CLASSES, compare_classes
from lvlm_audit.traces.trace import TokenClass, Trace
from tests.synthetic import EARLY, EMITTED, INPUT, OTHER, rising, trace

CONTENT, FUNCTION, COPIED, PUNCTUATION = CLASSES


def joined(*parts: Trace) -> Trace:
    """One answer of several pieces, each of its own class and curve."""
    merged = {
        f.name: np.concatenate([getattr(p, f.name) for p in parts])
        for f in dataclasses.fields(Trace)
        if isinstance(getattr(parts[0], f.name), np.ndarray)
    }
    return dataclasses.replace(
        parts[0],
        token_texts=sum((p.token_texts for p in parts), ()),
        token_classes=sum((p.token_classes for p in parts), ()),
        **merged,
    )


def answer(name: str, *, word_at: int = 8, mutates: bool = False) -> Trace:
    """Two content words that form at a state, one comma that is there from state 2 on."""
    leader = [EARLY] * word_at + [EMITTED] * (13 - word_at)
    curve, nucleus = rising(12, word_at), rising(12, word_at)
    if mutates:  # Settled on another word from state 4 on, replaced at state 10.
        leader = [EARLY] * 4 + [OTHER] * 6 + [EMITTED] * 3
        curve, nucleus = [0.1] * 10 + [0.8] * 3, rising(12, word_at)
    words = trace(
        curve,
        name=name,
        tokens=2,
        classes=[CONTENT] * 2,
        leader=leader,
        nucleus=nucleus,
        candidates={
            EARLY: [0.7] * 4 + [0.1] * 6 + [0.0] * 3,
            OTHER: [0.1] * 4 + [0.6] * 6 + [0.2] * 3,
        }
        if mutates
        else None,
    )
    comma = trace(rising(12, 2), name=name, tokens=1, classes=[PUNCTUATION])
    return joined(words, comma)


def value(found: ClassComparison, measure: str, kind: TokenClass) -> ClassValue:
    (row,) = [m for m in found.measures if m.name == measure]
    (cell,) = [v for v in row.classes if v.kind == kind]
    return cell


SIX = [answer(f"p{i}", word_at=7 + i % 2, mutates=i < 2) for i in range(6)]


@pytest.fixture(scope="module")
def found() -> ClassComparison:
    return compare_classes(SIX)


def test_tokens_and_images_are_counted(found):
    assert found.tokens == {"content": 12, "function": 0, "copied": 0, "punctuation": 6}
    cell = value(found, "settles", CONTENT)
    assert (cell.tokens, cell.images, cell.observed) == (12, 6, 1.0)
    nothing = value(found, "settles", FUNCTION)
    assert (nothing.tokens, nothing.observed, nothing.interval) == (0, None, None)


def test_states_are_means_over_images(found):
    # Words settle at 7 or 8, commas at 2.
    for measure in ("critical state", "settle state"):
        assert value(found, measure, CONTENT).observed == 7.5
        assert value(found, measure, PUNCTUATION).observed == 2.0
        difference = value(found, measure, PUNCTUATION)
        assert difference.difference == 5.5
        assert difference.images_paired == 6
        assert difference.differs
        assert difference.difference_interval.adjusted
    assert any(s.startswith("settle state: content words are higher") for s in found.differences)
    assert found.summary.startswith(
        "Content words differ from punctuation in critical state, settle state."
    )


def test_late_mutations_and_switches_by_hand(found):
    # Two of six images, both words: 4 of 12. Commas never.
    assert value(found, "late mutation", CONTENT).observed == pytest.approx(1 / 3, abs=1e-4)
    assert value(found, "late mutation", PUNCTUATION).observed == 0.0
    assert value(found, "late mutation", PUNCTUATION).difference == pytest.approx(1 / 3, abs=1e-4)
    assert not value(found, "late mutation", PUNCTUATION).differs
    # Mutating words switch twice (at 4 and 10), the others once.
    assert value(found, "churn", CONTENT).observed == pytest.approx((4 * 2 + 8 * 1) / 12, abs=1e-3)
    assert value(found, "churn", PUNCTUATION).observed == 1.0
    assert value(found, "terminal change", CONTENT).observed == 0.0
    assert value(found, "leader final early", CONTENT).observed == 1.0


def test_a_share_without_exceptions_is_not_certain(found):
    cell = value(found, "late mutation", PUNCTUATION)
    t2 = float(stats.t.isf(0.025, 5)) ** 2
    assert (cell.interval.low, cell.interval.high) == pytest.approx((0.0, t2 / (6 + t2)))


def test_what_could_not_mutate_is_not_counted():
    """A leader that changes at every state never settles: not applicable, as for the check."""
    restless = trace([0.4] * 13, name="r", leader=[EARLY, OTHER] * 6 + [EMITTED], tokens=2)
    found = compare_classes([*SIX, restless])
    assert value(found, "late mutation", CONTENT).tokens == 12
    assert value(found, "churn", CONTENT).tokens == 14
    assert value(found, "terminal change", CONTENT).observed == pytest.approx(2 / 14, abs=1e-4)


def test_a_token_that_never_settles_counts_against_its_class_and_has_no_state():
    flat = trace([0.01] * 13, name="f", leader=[EARLY] * 13, tokens=2)
    found = compare_classes([*SIX, flat])
    assert value(found, "settles", CONTENT).observed == pytest.approx(12 / 14, abs=1e-4)
    assert value(found, "settle state", CONTENT).tokens == 12


def test_what_is_not_eligible_belongs_to_no_class():
    repeats = trace(rising(), name="c", tokens=1, inputs=[EMITTED])
    pieces = trace(rising(), name="d", tokens=1, classes=[TokenClass.CONTINUATION])
    found = compare_classes([*SIX, repeats, pieces])
    assert found.tokens["content"] == 12
    assert found.excluded == {"continuation": 1, "repeats its input token": 1}
    assert INPUT != EMITTED


def test_a_difference_of_nothing_is_none():
    same = [
        joined(
            trace(rising(), name=f"p{i}", tokens=1),
            trace(rising(), name=f"p{i}", tokens=1, classes=[FUNCTION]),
        )
        for i in range(8)
    ]
    found = compare_classes(same)
    assert found.differences == []
    assert "no class is told apart" in found.summary
    assert all(not v.differs for m in found.measures for v in m.classes)


def test_classes_in_different_images_cannot_be_paired():
    apart = [
        trace(rising(), name=f"p{i}", classes=[CONTENT if i % 2 else COPIED] * 4) for i in range(12)
    ]
    found = compare_classes(apart)
    assert "nothing can be compared" in found.summary
    assert value(found, "settles", COPIED).difference is None
    assert value(found, "settles", COPIED).observed == 1.0


def test_four_images_say_nothing():
    found = compare_classes(SIX[:4])
    assert found.differences == []
    cell = value(found, "settle state", PUNCTUATION)
    assert (cell.interval.low, cell.interval.high) == (0.0, 12.0)
    assert (cell.difference_interval.low, cell.difference_interval.high) == (-12.0, 12.0)
    assert cell.difference_interval.method == "full range"


def test_few_words_of_the_stop_list_are_said():
    foreign = [trace(rising(), name=f"p{i}") for i in range(8)]
    assert "Only 0% of these 32 words are on the list" in compare_classes(foreign).note
    english = [trace(rising(), name=f"p{i}", classes=[CONTENT, FUNCTION] * 2) for i in range(8)]
    assert "Only" not in compare_classes(english).note
    assert "English list" in compare_classes(english).note
