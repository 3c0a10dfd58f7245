"""The regression family: worked values, and laws that hold whatever the values are."""

from __future__ import annotations

import dataclasses
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit import metrics
from lvlm_audit.comparing import compare
from lvlm_audit.comparing.wrong_words import METRIC
from lvlm_audit.document import Change, Outcome, Rounding, Severity
from lvlm_audit.hallucination.metrics import hallucinated
from lvlm_audit.statistics import holm_levels
from tests.comparing.sides import (
    advantage,
    answers,
    asked,
    by_image,
    finding,
    right,
    side,
)
from tests.effort import examples

LABELLED = {"metric": METRIC, "max_rise": 0.05, "tolerance": "points", "support": [0.0, 1.0]}


def surprisal(values, **declared):
    """The check of the references' likelihood: bits that may rise by an absolute amount."""
    told = {"metric": metrics.reference_surprisal.name, "max_rise": 0.32, "tolerance": "absolute"}
    return finding(
        "reference_likely", by_image(values), **(told | {"support": [0.0, None]} | declared)
    )


def only(now, before) -> Change:
    (change,) = compare(now, before).changes
    return change


def test_the_names_are_those_of_the_metrics():
    assert hallucinated.name == METRIC
    assert metrics.right_answer.name == right([]).declared["metric"]
    assert (
        surprisal([1.0]).declared["metric"]
        == "surprisal of the reference answer under its own image"
    )
    assert advantage([1.0]).declared["metric"] == metrics.image_advantage.name


class TestRightAnswers:
    def test_by_hand(self):
        before = answers([True] * 20 + [False] * 4)
        now = answers([True] * 8 + [False] * 12 + [True] + [False] * 3)
        change = only(side([right(now)], now), side([right(before)], before))
        assert change.outcome is Outcome.SHOWN
        assert (change.lost, change.gained, change.n) == (12, 1, 24)
        assert change.before == pytest.approx(20 / 24)
        assert change.now == pytest.approx(9 / 24)
        assert change.change == pytest.approx(-11 / 24)
        assert change.limit == pytest.approx(-0.05)
        assert change.worst == ["p08", "p09", "p10", "p11", "p12"]
        assert change.short == "right answers fell from 20 to 9"
        assert change.sentence.startswith(
            "right answers fell from 20 to 9 of 24 (12 lost, 1 gained), a change of -46 points ["
        )
        assert "; a fall of up to 5 points is tolerated" in change.sentence

    def test_as_many_gained_as_lost_is_no_loss(self):
        before = answers([True] * 12 + [False] * 12)
        now = answers([False] * 6 + [True] * 12 + [False] * 6)
        change = only(side([right(now)], now), side([right(before)], before))
        assert (change.lost, change.gained, change.change) == (6, 6, 0)
        assert change.outcome is Outcome.UNDECIDED
        assert change.images_to_exclude > 24

    def test_pairs_are_probes_and_images_are_what_is_resampled(self):
        before = [asked(i, id=f"p{i}-{k}", answer="x") for i in range(12) for k in range(2)]
        now = [dataclasses.replace(p, right=p.cluster > "i05", answer="y") for p in before]
        change = only(side([right(now)], now), side([right(before)], before))
        assert (change.n, change.lost) == (12, 12)
        assert "from 24 to 12 of 24" in change.sentence

    def test_an_answer_that_cannot_be_judged_any_more_is_wrong(self):
        before = answers([True] * 24)
        now = answers([None] * 3 + [True] * 21)
        change = only(side([right(now)], now), side([right(before)], before))
        assert change.lost == 3
        assert "3 that cannot be judged any more count as wrong" in change.sentence

    def test_ties_are_never_a_loss(self):
        before = answers([True] * 24)
        tied = [
            dataclasses.replace(
                p, right=False, answer="wrong", tokens=[5, 9, 2], margins=[4.0, 0.02, 4]
            )
            for p in before
        ]
        parent = [dataclasses.replace(p, margins=[4.0, 0.03, 4.0]) for p in before]
        wide = Rounding(floor=0.05, probes=4, tokens=20, runs=[])
        found = compare(
            side([right(tied)], tied, rounding=wide), side([right(parent)], parent, rounding=None)
        )
        assert (found.answers.changed, found.answers.ties, found.answers.floor) == (0, 24, 0.05)
        assert found.changes[0].lost == 0
        assert "24 that only rounding changed count as before" in found.changes[0].sentence
        # The same answers where the parent was sure of its own.
        sure = compare(
            side([right(tied)], tied, rounding=wide), side([right(before)], before, rounding=None)
        )
        assert (sure.answers.changed, sure.answers.ties) == (24, 0)
        assert sure.changes[0].outcome is Outcome.SHOWN

    def test_few_whole_answers_are_replaced_by_the_references_words(self):
        before = [asked(i, right=i < 9, words_asked=3, words_found=2) for i in range(24)]
        now = [asked(i, right=i < 9, words_asked=3, words_found=1) for i in range(24)]
        change = only(side([right(now)], now), side([right(before)], before))
        assert change.outcome is Outcome.SHOWN
        assert change.unit == "share of the references' content words"
        assert change.short == "the references' content words in the answers fell from 48 to 24"
        assert "only 9 whole right answers" in change.sentence
        assert (change.lost, change.gained) == (24, 0)
        ten = [asked(i, right=i < 10) for i in range(24)]
        assert only(side([right(ten)], ten), side([right(ten)], ten)).unit == "share of answers"

    def test_nothing_to_lose_is_said(self):
        none = [asked(i, right=False, words_found=0) for i in range(24)]
        change = only(side([right(none)], none), side([right(none)], none))
        assert change.outcome is Outcome.NOT_COMPARED
        assert "0 right answers of 24 and 0 of the references' 48 content words" in change.sentence


class TestWrongWords:
    def test_by_hand(self):
        before = [asked(i, labelled=2, wrong=0) for i in range(24)]
        now = [asked(i, labelled=2, wrong=int(i < 20)) for i in range(24)]
        values = by_image([0.0] * 24)
        change = only(
            side([finding("few_wrong", values, "tokens", **LABELLED)], now),
            side([finding("few_wrong", values, "tokens", **LABELLED)], before),
        )
        assert change.outcome is Outcome.SHOWN
        assert (change.before, change.now) == (0, pytest.approx(20 / 48))
        assert change.change == pytest.approx(20 / 48)
        assert change.limit == pytest.approx(0.05)
        assert change.interval.low < 20 / 48 < change.interval.high
        assert change.short == "wrong words rose from 0 to 20"

    def test_images_that_fall_silent_count_as_all_wrong(self):
        before = [asked(i, labelled=3, wrong=0) for i in range(24)]
        now = [asked(i, labelled=0, wrong=0) for i in range(24)]
        check = finding("few_wrong", {}, "tokens", **LABELLED)
        parent = finding("few_wrong", by_image([0.0] * 24), "tokens", **LABELLED)
        found = compare(side([check], now), side([parent], before))
        assert found.changes[0].outcome is Outcome.SHOWN
        assert found.changes[0].now == 1
        assert "on 24 images no such word is said any more" in found.changes[0].sentence
        assert found.gone == ["few_wrong"]


class TestValues:
    def test_a_share_of_the_parents_value_by_hand(self):
        before = [5.0 + 0.5 * (-1) ** i for i in range(24)]
        now = [v - 3 for v in before]
        change = only(side([advantage(now)]), side([advantage(before)]))
        assert change.outcome is Outcome.SHOWN
        assert (change.before, change.now, change.change) == (5, 2, -3)
        assert change.limit == pytest.approx(-1)
        assert change.sentence.startswith("the image's advantage fell by 3.0 bits [")
        assert change.sentence.endswith(" (from 5.0); a fall of up to 1.0 bits is tolerated")

    @pytest.mark.parametrize("value", [0.2, 1.0, 5.0])
    @pytest.mark.parametrize("images", [24, 48])
    def test_losing_everything_is_shown_at_any_parent_value(self, value, images):
        random_ = random.Random(images)
        before = [max(0.0, random_.gauss(value, value / 2)) for _ in range(images)]
        nothing = [random_.gauss(0, value / 10) for _ in range(images)]
        probes = answers([True] * images)
        more = [right(probes), surprisal([3.0] * images), finding("few", by_image([0.0] * images))]
        found = compare(
            side([advantage(nothing), *more], probes), side([advantage(before), *more], probes)
        )
        assert found.changes[0].outcome is Outcome.SHOWN

    def test_bits_that_rise(self):
        before = [3.0 + 0.1 * (i % 3) for i in range(24)]
        change = only(side([surprisal([v + 2 for v in before])]), side([surprisal(before)]))
        assert change.outcome is Outcome.SHOWN
        assert (change.change, change.limit) == (pytest.approx(2), pytest.approx(0.32))
        assert change.sentence.startswith("the reference answers' surprisal rose by 2.0 bits [")
        better = only(side([surprisal([v - 2 for v in before])]), side([surprisal(before)]))
        assert better.outcome is not Outcome.SHOWN
        assert better.change == pytest.approx(-2)

    def test_a_rate_in_points(self):
        before, now = [0.9] * 20 + [0.7] * 4, [0.5] * 24
        told = {"max_drop": 0.05, "tolerance": "points", "support": [0.0, 1.0]}
        change = only(
            side([finding("holds", by_image(now), "tokens", **told)]),
            side([finding("holds", by_image(before), "tokens", **told)]),
        )
        assert change.outcome is Outcome.SHOWN
        assert change.limit == -0.05
        assert "holds fell by 37 points" in change.sentence
        assert "(from 87 %)" in change.sentence

    @pytest.mark.parametrize(
        ("support", "said", "worst"),
        [
            ([0.0, 1.0], {"max_drop": 0.2}, 0.0),
            ([None, None], {"max_drop": 0.2}, 2.0),
            ([-126.0, 126.0], {"max_drop": 0.2}, 0.0),
            ([0.0, None], {"max_rise": 0.2}, 5.0),
            ([0.0, 9.0], {"max_rise": 0.2}, 9.0),
        ],
    )
    def test_an_image_without_a_value_counts_as_the_worst(self, support, said, worst):
        told = {**said, "tolerance": "share", "support": support}
        before = by_image([4.0] * 22 + [5.0] * 2)
        # 2.0 was seen on an image that the parent does not count, which is the worst all the same.
        now = {f"i{i:02d}": 4.0 for i in range(3, 22)} | {"z": 2.0}
        probes = answers([True] * 24)
        change = only(
            side([finding("lasts", now, **told)], probes),
            side([finding("lasts", before, **told)], probes),
        )
        assert change.n == 24
        assert change.now == pytest.approx((19 * 4 + 5 * worst) / 24)
        assert "5 images without a value now count as the worst" in change.sentence


def test_levels_are_holms_over_the_deciding_checks_that_can_be_compared():
    probes = answers([True] * 24)
    before = [5.0 + (-1) ** i for i in range(24)]
    family = [
        advantage([0.1 * v for v in before]),
        advantage([0.0] * 24, severity=Severity.WARN),
        right([]),
    ]
    family[1] = dataclasses.replace(family[1], check="warns")
    parents = [advantage(before), dataclasses.replace(advantage(before), check="warns"), right([])]
    unknown = [dataclasses.replace(p, right=None, words_asked=0) for p in probes]
    one, warned, none = compare(side(family, unknown), side(parents, unknown)).changes
    # The warning is no member, nor is what cannot be compared: the first has the whole alpha.
    assert one.interval.confidence == 1 - 2 * holm_levels([0.0], 0.025, 1)[0] == 0.95
    assert warned.interval.confidence == 0.95
    assert none.outcome is Outcome.NOT_COMPARED
    assert "neither a reference answer nor labels" in none.sentence


VALUES = st.lists(st.floats(-2, 8, allow_nan=False, width=16), min_size=6, max_size=30)


@examples(25)
@given(VALUES, st.data())
def test_a_document_against_itself(values, data):
    rights = data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    probes = answers(rights)
    same = side([right(probes), advantage(values), surprisal([abs(v) for v in values])], probes)
    found = compare(same, same)
    assert all(change.outcome is not Outcome.SHOWN for change in found.changes)
    assert (found.answers.changed, found.answers.ties) == (0, 0)
    assert (found.fed, found.gone, found.new, found.conditions) == ([], [], [], [])
    # The smallest sets have fewer images than could show anything; nothing else stands in the way.
    assert all(one.startswith("shared images: ") for one in found.mismatch)


@examples(25)
@given(VALUES, st.data())
def test_no_loss_is_shown_both_ways(values, data):
    size = len(values)
    other = data.draw(st.lists(st.floats(-2, 8, width=16), min_size=size, max_size=size))
    rights = [
        answers(data.draw(st.lists(st.booleans(), min_size=size, max_size=size))) for _ in range(2)
    ]
    one, two = (
        side([right(p), advantage(v), surprisal([abs(x) for x in v])], p)
        for p, v in zip(rights, (values, other), strict=True)
    )
    for there, back in zip(compare(one, two).changes, compare(two, one).changes, strict=True):
        assert not there.outcome is back.outcome is Outcome.SHOWN
