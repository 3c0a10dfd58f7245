"""What became of labelled words under an intervention: by hand, and what no pair of answers may break."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.document import CorrectionsReading
from lvlm_audit.document.plain import build, plain
from lvlm_audit.hallucination.corrections import (
    Compared,
    Plain,
    broken,
    compare_answers,
    corrected,
    net,
)
from lvlm_audit.hallucination.labels import label_answers
from lvlm_audit.readings.corrections import Anew, anew, corrections_reading
from lvlm_audit.traces.redecoded import Redecoded
from lvlm_audit.traces.trace import Asked, Trace
from tests.effort import examples
from tests.hallucination.answers import said
from tests.hallucination.test_labels import scene_words


def under(trace: Trace, text: str) -> Plain:
    return Plain(trace.asked, text)


def outcomes(trace: Trace, text: str, *blind: Trace) -> dict[str, str]:
    compared = compare_answers([trace], [under(trace, text)], blind)
    return {f.slot: f.outcome for f in compared.fates}


BANANA = scene_words(("blue", "color"), ("banana", "object"))


@pytest.mark.parametrize(
    ("before", "after", "color"),
    [
        ("The banana is yellow .", "The banana is blue .", "corrected"),
        ("The banana is yellow .", "I can see a yellow banana .", "kept"),
        ("The banana is yellow .", "The banana is red .", "changed"),
        ("The banana is yellow .", "I do not know .", "gone"),
        ("The banana is blue .", "Blue is the banana .", "held"),
        ("The banana is blue .", "The banana is yellow .", "broken"),
        ("The banana is blue .", "", "gone"),
    ],
)
def test_a_scenes_words_are_compared_by_role_and_place(before, after, color):
    assert outcomes(said(before, BANANA), after)["color 1"] == color


def test_by_place_and_not_by_token():
    """The new answer is longer, and what stands at the token of "yellow" is another word."""
    labels = scene_words(
        ("blue", "color"), ("banana", "object"), ("red", "color"), ("heart", "object")
    )
    trace = said("The banana is yellow and the heart is red .", labels)
    found = outcomes(trace, "There are two things here: a blue banana next to some red hearts.")
    assert found == {
        "color 1": "corrected",
        "color 2": "held",
        "object 1": "held",
        "object 2": "held",
    }


def test_an_object_too_many():
    labels = scene_words(("heart", "object"))
    trace = said("A heart and a leaf .", labels)
    assert outcomes(trace, "A heart.") == {"object 1": "held", "object 2": "gone"}
    compared = compare_answers(
        [said("A heart .", labels)], [under(trace, "A heart and a leaf and a banana.")]
    )
    assert [f.outcome for f in compared.fates] == ["held"]
    assert (compared.added, compared.labelled_after, compared.hallucinated_after) == (2, 3, 2)


def yes_no(expected: str, dataset: str = "") -> dict[str, Any]:
    return {"expected": expected, "dataset": dataset}


def test_a_decision():
    trace = said("No , there is no dog .", yes_no("yes"))
    assert outcomes(trace, "Yes, there is.") == {"yes or no": "corrected"}
    assert outcomes(trace, "There is not one.") == {"yes or no": "kept"}
    assert outcomes(trace, "Hard to tell.") == {"yes or no": "gone"}


def test_pope_takes_everything_else_for_yes():
    """Also where no word of the answer is labelled, because none decided."""
    no = said("No .", yes_no("yes", "POPE"))
    assert outcomes(no, "There is a dog.") == {"yes or no": "corrected"}
    right = said("No .", yes_no("no", "POPE"))
    assert outcomes(right, "There is a dog.") == {"yes or no": "broken"}
    yes = said("Yes .", yes_no("no", "POPE"))
    assert outcomes(yes, "There is a dog.") == {"yes or no": "kept"}


def test_listed_words_are_judged_by_being_said_at_all():
    labels = {"grounded": ["dog", "fire hydrant"], "hallucinated": ["cat", "car"]}
    trace = said("A dog , a cat , two cats and a fire hydrant .", labels)
    compared = compare_answers([trace], [under(trace, "Two dogs and a car.")])
    found = {f.slot: (f.outcome, f.now) for f in compared.fates}
    # Two mentions of the cat are one slot.
    assert found == {
        "says dog": ("held", "dogs"),
        "says cat": ("gone", None),
        "says fire hydrant": ("gone", None),
    }
    assert compared.added == 1
    assert outcomes(trace, "A cat.")["says cat"] == "kept"


def test_spans_of_a_given_answer_are_looked_for_in_another_wording():
    reference = "A dog and a cat ."
    labels = {
        "spans": [
            {"text": "dog", "start": 2, "hallucinated": False},
            {"text": "cat", "start": 12, "hallucinated": True},
        ]
    }
    trace = said(reference, labels, reference=reference)
    assert outcomes(trace, "A cat sleeps.") == {"says dog": "gone", "says cat": "kept"}
    assert outcomes(trace, "I see a dog.") == {"says dog": "held", "says cat": "gone"}


def test_an_expected_word():
    labels = {"expected": "blue"}
    trace = said("It is red .", labels, reference="It is blue.")
    assert outcomes(trace, "Blue, of course.") == {"expected word": "corrected"}
    assert outcomes(trace, "It is red.") == {"expected word": "kept"}
    assert outcomes(trace, "It is green.") == {"expected word": "changed"}
    assert outcomes(said("Blue .", labels, reference="It is blue."), "Red") == {
        "expected word": "broken"
    }


def test_a_probe_that_was_not_asked_anew_is_left_out():
    one, two = said("Yellow .", BANANA, name="one"), said("Yellow .", BANANA, name="two")
    compared = compare_answers([one, two], [under(two, "Blue.")])
    assert (compared.answers, {f.probe for f in compared.fates}) == (1, {"two"})


# Numbers ------------------------------------------------------------------------------------------


def many(*images: tuple[str, str, str, bool]) -> Compared:
    """One question an image: truth, base answer, new answer, whether the blind answer says the base's."""
    base, again, blind = [], [], []
    for i, (truth, before, after, prior) in enumerate(images):
        trace = said(
            f"It is {before} .", scene_words((truth, "color")), name=f"p{i}", prompt=f"{i}?"
        )
        base.append(trace)
        again.append(under(trace, f"It is {after} ."))
        guess = before if prior else "white"
        blind.append(said(f"It is {guess} .", name=f"b{i}", prompt=f"{i}?"))
    return compare_answers(base, again, blind)


SOME = (
    ("blue", "yellow", "blue", True),
    ("blue", "yellow", "blue", True),
    ("blue", "yellow", "yellow", True),
    ("blue", "red", "blue", False),
    ("blue", "red", "green", False),
    ("blue", "red", "red", False),
    ("blue", "red", "red", False),
    ("red", "red", "red", True),
    ("red", "red", "blue", True),
    ("red", "red", "red", False),
)


def test_shares_by_hand():
    compared = many(*SOME)
    assert (compared.answers, len(compared.differing)) == (10, 5)
    fixed, hurt, change = corrected(compared), broken(compared), net(compared)
    assert (fixed.held, fixed.n, fixed.images, fixed.value) == (3, 7, 7, pytest.approx(3 / 7))
    assert (hurt.held, hurt.n, hurt.value) == (1, 3, pytest.approx(1 / 3))
    assert (change.words, change.images, change.value) == (2, 10, pytest.approx(0.2))
    assert change.verdict == "undecided"
    prior, misread = (corrected(compared, prior_driven=p) for p in (True, False))
    assert (prior.held, prior.n) == (2, 3)
    assert (misread.held, misread.n) == (1, 4)
    # Below 5 images an interval is the full range.
    assert (hurt.spread.low, hurt.spread.high, hurt.spread.method) == (0.0, 1.0, "full range")


def test_an_interval_of_images_with_one_word_each_is_about_wilsons():
    """One word an image is a binomial share: Wilson by hand, 20 of 60 (0.2273 to 0.4594)."""
    compared = many(*[("blue", "red", "blue" if i < 20 else "red", False) for i in range(60)])
    spread = corrected(compared).spread
    assert spread.low == pytest.approx(0.2273, abs=0.02)
    assert spread.high == pytest.approx(0.4594, abs=0.02)


def test_words_of_one_image_are_not_so_many_witnesses():
    """The same words, once each with an image of its own, once ten to an image that go together."""
    apart = many(*[("blue", "red", "blue" if i < 30 else "red", False) for i in range(60)])
    base, again = [], []
    for i in range(60):
        trace = said(
            "Red .", scene_words(("blue", "color")), name=f"p{i}", cluster=f"image {i // 10}"
        )
        base.append(trace)
        again.append(under(trace, "Blue." if i < 30 else "Red."))
    together = compare_answers(base, again)
    wide, narrow = corrected(together).spread, corrected(apart).spread
    assert corrected(together).value == corrected(apart).value == 0.5
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_it_helps_and_it_harms():
    half = [("blue", "red", "blue", False)] * 20 + [("red", "red", "red", False)] * 20
    assert net(many(*half)).verdict == "helps"
    broke = [("red", "red", "blue", False)] * 20 + [("blue", "red", "red", False)] * 20
    assert net(many(*broke)).verdict == "harms"


def test_an_answer_that_breaks_off_is_no_improvement():
    """It loses its errors, and with them everything that was right."""
    babble = [("blue", "red", "nothing", False)] * 6 + [("red", "red", "nothing", False)] * 30
    compared = many(*babble)
    assert compared.count("gone", hallucinated=True) == 6
    assert corrected(compared).held == broken(compared).held == 0
    assert net(compared).words == -30
    assert net(compared).verdict == "harms"
    only_errors = net(many(*[("blue", "red", "nothing", False)] * 30))
    assert (only_errors.words, only_errors.verdict) == (0, "undecided")


@pytest.mark.parametrize("images", [1, 4, 5, 40])
def test_what_changed_nowhere_may_change_elsewhere(images):
    change = net(many(*[("blue", "red", "red", False)] * images))
    assert change.value == 0.0
    assert change.verdict == "undecided"
    assert change.spread.low < 0 < change.spread.high
    assert (change.spread.high < 0.2) == (images == 40)


def test_what_changed_everywhere_alike_is_not_certain():
    few = net(many(*[("blue", "red", "blue", False)] * 5))
    assert few.value == 1.0
    assert few.spread.low < 0.5
    assert net(many(*[("blue", "red", "blue", False)] * 40)).verdict == "helps"
    assert net(many(*[("red", "red", "blue", False)] * 40)).verdict == "harms"


COLORS = st.sampled_from(["red", "blue", "green", "yellow", "nothing"])
PAIRS = st.lists(
    st.tuples(COLORS.filter(lambda c: c != "nothing"), COLORS, COLORS), min_size=1, max_size=8
)


@examples(40)
@given(PAIRS)
def test_laws(pairs):
    rows = [(truth, before, after, False) for truth, before, after in pairs]
    there = many(*rows)
    back = many(*[(truth, after, before, False) for truth, before, after in pairs])
    itself = many(*[(truth, before, before, False) for truth, before, _ in pairs])
    assert {f.outcome for f in itself.fates} <= {"kept", "held"}
    assert not itself.differing
    # Going back undoes: what was corrected would be broken.
    assert there.count("corrected", hallucinated=True) == back.count("broken", hallucinated=False)
    assert back.hallucinated_after == sum(f.hallucinated for f in there.fates)
    assert there.labelled_after == len(back.fates)
    for fate in there.fates:
        assert fate.outcome in (
            ("corrected", "kept", "changed", "gone")
            if fate.hallucinated
            else ("held", "broken", "gone")
        )
    fixed, hurt = corrected(there), broken(there)
    assert fixed.n + hurt.n == len(there.fates)
    for share in (fixed, hurt):
        assert share.value is None or share.spread.low <= share.value <= share.spread.high
    if there.fates:
        change = net(there)
        assert change.value is not None
        assert -1 <= change.spread.low <= change.value <= change.spread.high <= 1
        lost = hurt.held + there.count("gone", hallucinated=False)
        assert change.words == fixed.held - lost
        assert change.value == pytest.approx((fixed.held - lost) / len(there.fates))


@given(st.text(max_size=40))
def test_any_text_can_be_an_answer(text):
    for labels in (
        BANANA,
        yes_no("yes", "POPE"),
        {"grounded": ["dog"], "hallucinated": ["cat"]},
        {"expected": "blue"},
    ):
        trace = said("The yellow banana , a dog and a cat , no .", labels)
        slots = {w.slot for w in label_answers([trace])[0].words}
        assert set(outcomes(trace, text)) == slots


# The document -------------------------------------------------------------------------------------


def redecoded(trace: Trace, text: str, name: str, blocks: tuple[int, ...] = ()) -> Redecoded:
    return Redecoded(trace.asked, name, "does it", "a paper", blocks, np.array([1]), text)


def reading(
    base: list[Trace], found: list[Anew], blind: list[Trace] | None = None
) -> CorrectionsReading:
    made = corrections_reading(base, found, blind or [])
    assert made is not None
    return made


def test_the_reading_says_what_was_counted():
    base = [said("The banana is yellow .", BANANA, name=f"p{i}", prompt="What?") for i in range(12)]
    blind = [said("It is yellow .", prompt="What?")]
    recorded = [redecoded(t, "The banana is blue.", "DoLa high") for t in base]
    recorded += [
        redecoded(t, "The banana is yellow .", "skip.2", (3, 4 + i % 2)) for i, t in enumerate(base)
    ]
    made = reading(
        base, [*anew(recorded), Anew("skip.9", "", "", (), {}, "no state mutates")], blind
    )
    dola, skip, none = made.interventions
    assert (made.labelled, made.hallucinated, made.images) == (24, 12, 12)
    assert dola.verdict == "helps"
    assert dola.corrected is not None
    assert (dola.corrected.held, dola.corrected.n, dola.corrected.value) == (12, 12, 1.0)
    assert dola.prior_driven is not None
    assert (dola.prior_driven.held, dola.prior_driven.n) == (12, 12)
    assert dola.misread is not None
    assert dola.misread.value is None
    assert dola.misread.interval is None
    assert dola.net == 0.5
    assert dola.changed_answers == len(dola.differing) == 12
    assert {f.outcome for f in dola.fates} == {"corrected"}
    assert dola.words.startswith(
        "12 of 12 hallucinated words are corrected; 0 of 12 correct ones are broken"
    )
    assert skip.blocks == [[3, 4], [3, 5]]
    assert skip.words == "It changes none of 12 answers."
    assert skip.verdict == "undecided"
    assert none.verdict == "not measured"
    assert none.words == "Not measured: No state mutates."
    assert "win more right words than they lose: DoLa high; that lose more: none" in made.words
    assert build(CorrectionsReading, plain(made), "here") == made


def test_without_labels_or_interventions_there_is_nothing_to_read():
    trace = said("Yellow .", {})
    assert corrections_reading([trace], [Anew("a", "", "", (), {"p0": "Blue."})]) is None
    assert corrections_reading([said("Yellow .", BANANA)], []) is None


def test_without_text_answers_errors_are_not_told_apart():
    base = [said("Yellow .", BANANA)]
    (one,) = reading(base, [Anew("a", "", "", (), {"p0": "Blue."})]).interventions
    assert one.prior_driven is None
    assert one.misread is None


def test_an_answer_of_no_tokens_is_none():
    from lvlm_audit.errors import TraceError

    with pytest.raises(TraceError, match="under x to probe 'p'"):
        Redecoded(Asked("p", "?", "p"), "x", "", "", (), np.array([], np.int64), "")
