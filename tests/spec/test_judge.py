"""Observing and judging: verdicts, intervals, the family's correction, and what is counted."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from lvlm_audit.auditing.conclude import selected
from lvlm_audit.comparing.decision import decides
from lvlm_audit.document import Eligibility, Severity, Stage, Verdict
from lvlm_audit.document.plain import MAX_NUMBER
from lvlm_audit.errors import CheckError
from lvlm_audit.metrics.curves import (
    Metric,
    image_divergence,
    neighbour_divergence,
    token_lead,
    token_probability,
)
from lvlm_audit.properties import Kept, LateMutation, Plateau, Rise, Saturates, Value
from lvlm_audit.recordings.evidence import Evidence
from lvlm_audit.spec.check import Check, Quorum, at_least, at_most
from lvlm_audit.spec.judge import ALPHA, Observation, judge, observe
from lvlm_audit.spec.suite import suite
from lvlm_audit.statistics import (
    ShareOfImages,
    cluster_mean,
    fold_of,
    holm_levels,
    images_to_decide,
)
from lvlm_audit.traces.trace import TokenClass, Trace
from tests.effort import examples
from tests.evidence import evidence_of
from tests.synthetic import EARLY, EMITTED, OTHER, pair, rising, trace

FLAT = [0.01] * 13


def check(**fields) -> Check:
    """A check that means little, with some fields chosen."""
    base = {
        "statement": "The answer forms.",
        "stage": Stage.RAPID_EVOLUTION,
        "metric": token_probability,
        "property": Rise(),
        "holds_for": at_least(0.7, of="images"),
        "rationale": "A test.",
        "name": "answer_forms",
    }
    return Check(**{**base, **fields})


def answers(held: int, n: int) -> Evidence:
    """n images of which some rise."""
    return evidence_of(
        "normed", [trace(rising() if i < held else FLAT, name=f"p{i:03}") for i in range(n)]
    )


def alone(declared: Check, evidence: Evidence):
    (finding,) = judge([observe(declared, evidence)])
    return finding


def seen(declared: Check, estimate) -> Observation:
    """An observation of which only the estimate matters."""
    return Observation(declared, estimate, "", Eligibility(0, 0, 0, 0, {}), {}, ())


class TestVerdicts:
    def test_pass_when_the_whole_interval_clears_the_bound(self):
        finding = alone(check(), answers(20, 20))
        assert finding.verdict is Verdict.PASS
        assert finding.observed == 1.0
        # Wilson for 20 of 20 at z = 1.95996: n / (n + z^2) = 20 / 23.8415.
        assert finding.interval.low == pytest.approx(0.838875, abs=1e-5)
        assert (finding.interval.method, finding.interval.adjusted) == ("wilson", False)
        assert finding.interval.confidence == pytest.approx(0.95)
        assert "20 of 20 images (100%)" in finding.message
        assert finding.images_to_decide is None

    def test_fail_when_the_whole_interval_lies_beyond(self):
        finding = alone(check(), answers(5, 20))
        assert finding.verdict is Verdict.FAIL
        assert finding.interval.high < 0.7
        assert "lies beyond the bound" in finding.message

    def test_inconclusive_when_it_straddles_and_says_how_many_would_decide(self):
        finding = alone(check(), answers(10, 12))
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.interval.low < 0.7 < finding.interval.high
        # 1.96^2 * 0.7 * 0.3 / (10/12 - 0.7)^2 = 45.4
        assert finding.images_to_decide == 46
        assert "about 46 images would decide it" in finding.message

    def test_the_number_that_would_decide_is_true(self):
        assert alone(check(), answers(10 * 4, 12 * 4)).verdict is Verdict.PASS  # 48 images
        assert alone(check(), answers(10 * 3, 12 * 3)).verdict is Verdict.INCONCLUSIVE  # 36

    def test_twelve_of_twelve_does_not_clear_four_fifths(self):
        finding = alone(check(holds_for=at_least(0.8, of="images")), answers(12, 12))
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.interval.low == pytest.approx(0.757, abs=1e-3)  # docs/method.md#statistics
        assert finding.images_to_decide == 16

    def test_at_most_is_the_mirror_image(self):
        bound = check(holds_for=at_most(0.3, of="images"))
        assert alone(bound, answers(0, 20)).verdict is Verdict.PASS
        assert alone(bound, answers(20, 20)).verdict is Verdict.FAIL
        assert alone(bound, answers(6, 20)).verdict is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize("n", [1, 4])
    @pytest.mark.parametrize("of", ["images", "tokens"])
    def test_fewer_than_five_images_decide_nothing(self, n, of):
        finding = alone(check(holds_for=at_least(0.7, of=of)), answers(n, n))
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert (finding.interval.low, finding.interval.high) == (0.0, 1.0)
        assert finding.interval.method == "full range"
        assert "fewer than 5 images decide nothing" in finding.message

    def test_five_images_can_decide(self):
        assert alone(check(holds_for=at_least(0.5, of="images")), answers(5, 5)).verdict == "pass"

    def test_quantities_of_few_images_span_what_the_quantity_can_be(self):
        lead = check(property=Value(), metric=token_lead, holds_for=at_least(0.2, of="mean"))
        finding = alone(lead, answers(4, 4))
        assert (finding.interval.low, finding.interval.high) == (-1.0, 1.0)
        assert finding.verdict is Verdict.INCONCLUSIVE

    def test_a_likelihood_ratio_of_few_images_spans_what_a_float_can_say(self):
        (informs,) = [c for c in suite().checks if c.name == "image_informs"]
        finding = alone(
            informs, evidence_of("normed", [], [], [pair([0.1], name=f"p{i}") for i in range(4)])
        )
        assert (finding.interval.low, finding.interval.high) == (-126.0, 126.0)

    def test_bits_of_few_images_span_what_the_metric_can_be_not_what_its_unit_suggests(self):
        entropy = Metric("entropy", "bits", "answers", lambda t: t.entropy)
        bound = check(property=Value(), metric=entropy, holds_for=at_most(3.0, of="mean"))
        finding = alone(bound, answers(4, 4))
        assert (finding.interval.low, finding.interval.high) == (-1e100, 1e100)
        # What is written can be read back.
        assert max(abs(finding.interval.low), finding.interval.high) <= MAX_NUMBER
        jsd = dataclasses.replace(
            bound, metric=neighbour_divergence, holds_for=at_most(0.5, of="mean")
        )
        finding = alone(jsd, answers(4, 4))
        assert (finding.interval.low, finding.interval.high) == (0.0, 1.0)
        vocabulary = dataclasses.replace(entropy, support=(0.0, 15.0))
        finding = alone(dataclasses.replace(bound, metric=vocabulary), answers(4, 4))
        assert (finding.interval.low, finding.interval.high) == (0.0, 15.0)

    def test_not_applicable_has_no_value_and_says_why(self):
        content = check(tokens="content")
        words = [TokenClass.FUNCTION] * 4
        evidence = evidence_of(
            "normed", [trace(rising(), name=f"p{i}", classes=words) for i in range(6)]
        )
        finding = alone(content, evidence)
        assert finding.verdict is Verdict.NOT_APPLICABLE
        assert finding.observed is None
        assert finding.interval is None
        assert finding.n == 0
        assert "none of the 24 tokens is one that this check counts" in finding.message

    @pytest.mark.parametrize(
        ("metric", "why"),
        [(image_divergence, "no second image"), (token_probability, "no answer was recorded")],
    )
    def test_nothing_recorded_is_not_applicable(self, metric, why):
        declared = check(
            metric=metric, property=Kept(), tokens="content", holds_for=at_least(0.5, of="images")
        )
        assert why in alone(declared, evidence_of("normed", [])).message

    def test_a_plateau_without_a_window_is_not_applicable_and_says_so(self):
        plateau = check(property=Plateau(), metric=neighbour_divergence)
        late = evidence_of("normed", [trace(rising(12, 11), name=f"p{i}") for i in range(6)])
        finding = alone(plateau, late)
        assert finding.verdict is Verdict.NOT_APPLICABLE
        assert "too few transitions are left for a plateau" in finding.message
        assert finding.eligible.excluded == {"the property does not apply": 24}


class TestWhatIsCounted:
    def test_probes_on_one_image_count_once(self):
        traces = [
            trace(rising(), name=f"p{i}-{k}", cluster=f"image{i}")
            for i in range(4)
            for k in range(5)
        ]
        finding = alone(check(), evidence_of("normed", traces))
        assert finding.n == 4
        assert finding.eligible.images == finding.eligible.images_recorded == 4
        assert finding.eligible.tokens == 80
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert set(finding.per_image) == {f"image{i}" for i in range(4)}

    def test_an_image_holds_when_at_least_half_of_its_tokens_do(self):
        def image(name: str, up: int, down: int) -> list[Trace]:
            return [
                trace(rising(), name=f"{name}+", cluster=name, tokens=up),
                trace(FLAT, name=f"{name}-", cluster=name, tokens=down),
            ]

        evidence = evidence_of("normed", [*image("half", 3, 3), *image("less", 3, 4)])
        assert observe(check(), evidence).per_image == {"half": 1.0, "less": 0.0}

    def test_a_share_of_tokens_weighs_images_by_their_tokens(self):
        evidence = evidence_of(
            "normed",
            [
                trace(rising(), name="a", tokens=6),
                trace(FLAT, name="b", tokens=2),
            ],
        )
        seen_tokens = observe(check(holds_for=at_least(0.5, of="tokens")), evidence)
        assert seen_tokens.estimate.value == 0.75
        assert seen_tokens.per_image == {"a": 1.0, "b": 0.0}
        assert observe(check(holds_for=at_least(0.5, of="images")), evidence).estimate.value == 0.5

    def test_a_quantity_is_the_mean_over_images_of_the_median_token(self):
        lead = check(property=Value(), metric=token_probability, holds_for=at_least(0.2, of="mean"))
        evidence = evidence_of(
            "normed",
            [
                trace(rising(top=1.0), name="a", cluster="x", tokens=3),
                trace(rising(top=0.5), name="b", cluster="x", tokens=2),
                trace(rising(top=0.25), name="c", cluster="y", tokens=9),
            ],
        )
        observed = observe(lead, evidence)
        assert observed.per_image == {"x": 1.0, "y": 0.25}
        assert observed.estimate.value == 0.625

    def test_reasons_for_exclusion_are_told(self):
        classes = [
            TokenClass.CONTENT,
            TokenClass.CONTENT,
            TokenClass.FUNCTION,
            TokenClass.CONTINUATION,
            TokenClass.SPECIAL,
        ]
        recording = trace(
            rising(), tokens=5, classes=classes, inputs=[40, EMITTED, 40, 40, EMITTED]
        )
        eligible = observe(check(), evidence_of("normed", [recording])).eligible
        assert eligible.excluded == {"continuation": 1, "repeats its input token": 1, "special": 1}
        assert (eligible.tokens, eligible.tokens_recorded) == (2, 5)
        content = observe(check(tokens="content"), evidence_of("normed", [recording])).eligible
        assert content.excluded == {**eligible.excluded, "function": 1}
        assert content.tokens == 1

    @examples(40)
    @given(
        st.lists(
            st.lists(
                st.tuples(st.sampled_from(list(TokenClass)), st.booleans()),
                min_size=1,
                max_size=6,
            ),
            min_size=1,
            max_size=5,
        ),
        st.sampled_from(["eligible", "content"]),
        st.sampled_from([Rise(), LateMutation(), Plateau(), Kept()]),
    )
    def test_counted_and_excluded_tokens_add_up(self, probes, tokens, property):
        traces = [
            trace(
                rising(12, 4 + i % 6),
                name=f"p{i}",
                tokens=len(kinds),
                classes=[k for k, _ in kinds],
                inputs=[EMITTED if copied else 40 for _, copied in kinds],
            )
            for i, kinds in enumerate(probes)
        ]
        metric = neighbour_divergence if isinstance(property, Plateau) else token_probability
        declared = check(property=property, metric=metric, tokens=tokens)
        eligible = observe(declared, evidence_of("normed", traces)).eligible
        assert eligible.tokens_recorded == sum(map(len, probes))
        assert eligible.tokens + sum(eligible.excluded.values()) == eligible.tokens_recorded
        assert eligible.images <= eligible.images_recorded == len(probes)

    def test_replays_count_content_words_of_the_pairs_only(self):
        declared = check(
            metric=image_divergence,
            property=Value(),
            tokens="content",
            holds_for=at_least(0.05, of="mean"),
        )
        replay = dataclasses.replace(
            pair([0.0, 0.5], tokens=3),
            token_classes=(TokenClass.CONTENT, TokenClass.COPIED, TokenClass.PUNCTUATION),
        )
        eligible = observe(declared, evidence_of("normed", [trace(rising())], [replay])).eligible
        assert eligible.excluded == {"copied": 1, "punctuation": 1}
        assert (eligible.tokens, eligible.tokens_recorded) == (1, 3)


class TestCounterexamples:
    def test_the_worst_five_first_and_none_that_holds(self):
        declared = check(property=Value(), holds_for=at_least(0.5, of="mean"))
        tops = [0.1, 0.9, 0.3, 0.2, 0.4, 0.45, 0.25, 0.8]
        evidence = evidence_of("normed", [trace([t] * 13, name=f"top {t}") for t in tops])
        assert observe(declared, evidence).counterexamples == (
            "top 0.1",
            "top 0.2",
            "top 0.25",
            "top 0.3",
            "top 0.4",
        )

    def test_at_most_has_the_largest_first(self):
        declared = check(property=Value(), holds_for=at_most(0.5, of="mean"))
        evidence = evidence_of(
            "normed", [trace([t] * 13, name=f"top {t}") for t in (0.6, 0.9, 0.4, 0.7)]
        )
        assert observe(declared, evidence).counterexamples == ("top 0.9", "top 0.7", "top 0.6")

    def test_tokens_are_held_against_the_checks_own_bound(self):
        # 2 of 5 tokens mutate: fewer than half, but more than the 30 % that are allowed.
        declared = check(property=LateMutation(), holds_for=at_most(0.3, of="tokens"))
        leader = [OTHER] * 10 + [EMITTED] * 3
        p = [0.1] * 10 + [0.9] * 3
        two = trace(p, name="two", cluster="x", tokens=2, leader=leader)
        three = trace(rising(), name="three", cluster="x", tokens=3)
        observed = observe(declared, evidence_of("normed", [two, three]))
        assert observed.per_image == {"x": 0.4}
        assert observed.counterexamples == ("two",)

    def test_a_passing_check_without_a_dissenter_names_none(self):
        assert alone(check(), answers(20, 20)).counterexamples == []

    def test_an_image_that_just_holds_speaks_against_at_most(self):
        declared = check(property=Rise(), holds_for=at_most(0.5, of="images"))
        assert observe(declared, answers(1, 2)).counterexamples == ("p000",)
        assert observe(check(), answers(1, 2)).counterexamples == ("p001",)


class TestCircularity:
    def test_the_plateau_window_comes_from_the_other_half_of_the_images(self):
        """Half of the images settle at 4 and burst at transition 5; the others settle at 8.

        Tested from their own settle state the first half would fail; from the other half's they hold.
        """
        names = [f"image{i}" for i in range(8)]
        half = fold_of(names)
        early = {
            "divergence": [0.5] * 4 + [0.0, 0.5] + [0.0] * 6,
            "leader": [EARLY] * 4 + [EMITTED] * 9,
        }
        late = {"divergence": [0.5] * 8 + [0.0] * 4, "leader": [EARLY] * 8 + [EMITTED] * 5}
        traces = [
            trace(rising(12, 4), name=n, **early)
            if h == 0
            else trace(rising(12, 8), name=n, **late)
            for n, h in zip(names, half, strict=True)
        ]
        declared = check(property=Plateau(), metric=neighbour_divergence)
        per_image = observe(declared, evidence_of("normed", traces)).per_image
        first = {per_image[n] for n, h in zip(names, half, strict=True) if h == 0}
        second = {per_image[n] for n, h in zip(names, half, strict=True) if h == 1}
        # The first half is tested from state 8 on: quiet. The second from 4 on: still moving.
        assert (first, second) == ({1.0}, {0.0})

    def test_one_image_has_no_other_half(self):
        declared = check(property=Plateau(), metric=neighbour_divergence)
        assert alone(declared, answers(1, 1)).verdict is Verdict.NOT_APPLICABLE

    def test_the_halves_do_not_depend_on_the_order_of_the_probes(self):
        evidence = [
            trace(rising(12, 3 + i % 7), name=f"p{i}", divergence=[0.2] * 6 + [0.0] * 6)
            for i in range(12)
        ]
        declared = check(property=Plateau(), metric=neighbour_divergence)
        straight = alone(declared, evidence_of("normed", evidence))
        random.Random(0).shuffle(evidence)
        shuffled = alone(declared, evidence_of("normed", evidence))
        # Probes that speak against it equally come in the order in which they were asked; five are named.
        against = {image for image, held in straight.per_image.items() if held == 0.0}
        assert set(shuffled.counterexamples) <= against
        assert len(shuffled.counterexamples) == len(straight.counterexamples)
        assert dataclasses.replace(shuffled, counterexamples=straight.counterexamples) == straight


class TestFamily:
    def family(self) -> list[Observation]:
        """Six checks on a hundred images, from clear to undecided."""
        evidence = answers(90, 100)
        return [
            observe(check(name=f"c{b}", holds_for=at_least(b, of="images")), evidence)
            for b in (0.5, 0.6, 0.7, 0.82, 0.86, 0.9)
        ]

    def test_holm_by_hand(self):
        # 4 checks at 0.05: 0.001 <= 0.0125; 0.014 <= 0.0167; 0.03 > 0.025 stops; 0.04 stays there.
        assert holm_levels([0.03, 0.001, 0.014, 0.04], 0.05, 4) == pytest.approx(
            [0.025, 0.0125, 0.05 / 3, 0.025]
        )

    def test_a_family_widens_intervals_and_says_so(self):
        one = judge(self.family()[2:3])[0].interval
        many = next(f for f in judge(self.family()) if f.check == "c0.7").interval
        assert (one.adjusted, many.adjusted) == (False, True)
        assert many.low < one.low
        assert many.confidence > one.confidence

    def test_choosing_some_checks_changes_no_finding(self):
        whole = judge(self.family())
        chosen = selected(whole, {"c0.7", "c0.82"})
        assert chosen == [f for f in whole if f.check in ("c0.7", "c0.82")]
        # Judged by itself, without the family, one of them would have come out otherwise.
        assert whole[3].verdict is Verdict.INCONCLUSIVE
        assert judge(self.family()[3:4])[0].verdict is Verdict.PASS

    def test_a_check_that_does_not_apply_counts_in_the_family_all_the_same(self):
        nothing = observe(check(name="nothing", tokens="content"), evidence_of("normed", []))
        pair_of = judge([self.family()[3], nothing])
        single = judge(self.family()[3:4])
        assert pair_of[0].interval.low < single[0].interval.low

    @examples(200)
    @given(
        st.lists(st.floats(1e-6, 1), min_size=1, max_size=8),
        st.floats(1e-6, 1),
    )
    def test_one_more_check_can_only_widen(self, ps, extra):
        before = holm_levels(ps, ALPHA, len(ps))
        after = holm_levels([*ps, extra], ALPHA, len(ps) + 1)
        assert all(a <= b * (1 + 1e-12) for a, b in zip(after, before, strict=False))

    @examples(60)
    @given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=8), st.integers(0, 4), st.randoms())
    def test_levels_lie_between_bonferroni_and_none_and_ignore_order(self, ps, spare, shuffler):
        assume(len(set(ps)) == len(ps))
        size = len(ps) + spare
        levels = holm_levels(ps, ALPHA, size)
        assert all(ALPHA / size * (1 - 1e-12) <= x <= ALPHA for x in levels)
        order = list(range(len(ps)))
        shuffler.shuffle(order)
        again = holm_levels([ps[i] for i in order], ALPHA, size)
        assert again == [levels[i] for i in order]
        # Rejected are exactly a head of the sorted list: no larger p is decided than one that is not.
        decided = {p: p <= x for p, x in zip(ps, levels, strict=True)}
        assert sorted(decided, key=lambda p: (not decided[p], p)) == sorted(ps)


def _dual(finding, side: str, bound: float) -> None:
    low, high = finding.interval.low, finding.interval.high
    assume(min(abs(low - bound), abs(high - bound)) > 1e-9)
    clears = low >= bound if side == ">=" else high <= bound
    beyond = high <= bound if side == ">=" else low >= bound
    expected = Verdict.PASS if clears else Verdict.FAIL if beyond else Verdict.INCONCLUSIVE
    assert finding.verdict is expected
    assert low <= finding.observed <= high


sides = st.sampled_from([">=", "<="])


class TestDuality:
    """Pass exactly when the printed interval clears the bound, fail exactly when it lies beyond."""

    @examples(150)
    @given(st.data(), sides, st.floats(0.02, 0.98), st.integers(1, 12))
    def test_for_shares_of_images(self, data, side, bound, family):
        n = data.draw(st.integers(5, 60))
        held = data.draw(st.integers(0, n))
        declared = check(holds_for=Quorum(side, bound, "images"))
        (finding,) = judge([seen(declared, ShareOfImages(held, n))], family=family)
        _dual(finding, side, bound)

    @examples(80)
    @given(
        st.lists(st.floats(0, 1), min_size=5, max_size=15, unique=True),
        sides,
        st.floats(0, 1),
        st.integers(1, 12),
    )
    @example([i / 10 for i in range(11)], ">=", 0.25, 11)
    def test_for_means(self, values, side, bound, family):
        declared = check(property=Value(), holds_for=Quorum(side, bound, "mean"))
        for support in ((0.0, 1.0), (-np.inf, np.inf)):
            estimate = cluster_mean(values, support=support, seed=0)
            (finding,) = judge([seen(declared, estimate)], family=family)
            _dual(finding, side, bound)

    @examples(80)
    @given(
        st.lists(st.tuples(st.integers(0, 9), st.integers(9, 14)), min_size=5, max_size=15),
        sides,
        st.floats(0.02, 0.98),
        st.integers(1, 12),
    )
    @example([(0, 9)] * 30, "<=", 0.25, 3)
    @example([(9, 9)] * 30, ">=", 0.75, 3)
    def test_for_shares_of_tokens(self, counts, side, bound, family):
        declared = check(holds_for=Quorum(side, bound, "tokens"))
        held, counted = zip(*counts, strict=True)
        estimate = cluster_mean(held, counted, support=(0, 1), seed=0, is_share=True)
        (finding,) = judge([seen(declared, estimate)], family=family)
        _dual(finding, side, bound)

    @pytest.mark.parametrize("family", range(1, 13))
    @pytest.mark.parametrize("rank", [-2, -1, 0, 1])
    def test_at_the_very_replicate_where_the_verdict_turns(self, family, rank):
        """The bound is put between the replicates around the interval's end, one after the other."""
        # Skewed far enough that the bootstrap's lower end lies below that of t, which leans away from 0.
        values = [0.0] * 20 + [0.9] * 4
        estimate = cluster_mean(np.add(values, np.arange(24) / 1e3), support=(0, 1), seed=0)
        end = int(ALPHA / family * (1 + estimate.replicates.size)) + rank
        bound = float(estimate.replicates[end : end + 2].mean())
        declared = check(property=Value(), holds_for=Quorum(">=", bound, "mean"))
        (finding,) = judge([seen(declared, estimate)], family=family)
        assert finding.interval.low in estimate.replicates
        assert (finding.verdict is Verdict.PASS) == (finding.interval.low >= bound)

    @pytest.mark.parametrize("support", [(0.0, 1.0), (-np.inf, np.inf)])
    @pytest.mark.parametrize("aside", [-1e-7, 1e-7])
    @pytest.mark.parametrize("family", [1, 5, 12])
    def test_at_the_very_end_of_the_t_interval(self, support, aside, family):
        estimate = cluster_mean([0.4, 0.5, 0.6, 0.55, 0.45], support=support, seed=0)
        level = ALPHA / family
        end = estimate.spread(1 - 2 * level).low
        assert end < estimate.replicates[0] or family == 1
        declared = check(property=Value(), holds_for=Quorum(">=", end + aside, "mean"))
        (finding,) = judge([seen(declared, estimate)], family=family)
        assert finding.interval.low == pytest.approx(end)
        assert (finding.verdict is Verdict.PASS) == (aside < 0)


class TestImagesToDecide:
    def test_on_the_bound_no_number_decides(self):
        assert images_to_decide(ShareOfImages(7, 10), 0.7, 0.95) is None
        assert (
            images_to_decide(
                cluster_mean([0.25] * 3 + [0.75] * 3, support=(0, 1), seed=0), 0.5, 0.95
            )
            is None
        )

    @examples(100)
    @given(st.integers(5, 40), st.integers(0, 40), st.floats(0.05, 0.95))
    def test_a_multiple_of_the_same_images_decides_from_there_on(self, n, held, bound):
        assume(held <= n and abs(held / n - bound) > 0.02)
        estimate = ShareOfImages(held, n)
        needed = images_to_decide(estimate, bound, 0.95)
        assert needed > n or needed == 5 or needed == n + 1
        times = -(-needed // n)
        more = ShareOfImages(held * times, n * times)
        decided = min(more.p_value(">=", bound), more.p_value("<=", bound)) <= 0.025 + 1e-12
        assert decided

    def test_for_a_mean_the_interval_shrinks_with_the_root(self):
        values = [0.0, 0.5, 0.25, 0.75, 0.5, 0.4]
        estimate = cluster_mean(values, support=(0, 1), seed=0)
        # Variance 0.325 / 5 around 0.4, at the bound 0.3 times (0.3 * 0.7) / (0.4 * 0.6): 0.056875.
        # t(23)^2 * 0.056875 / 0.1^2 = 24.3 > 24, t(24)^2 * 0.056875 / 0.1^2 = 24.2 <= 25.
        assert images_to_decide(estimate, 0.3, 0.95) == 25


class TestDeciding:
    def finding(self, verdict: Verdict, severity=Severity.ERROR, **fields):
        return dataclasses.replace(
            alone(check(severity=severity, **fields), answers(5, 5)), verdict=verdict
        )

    @pytest.mark.parametrize(
        ("verdict", "expected"),
        [
            (Verdict.PASS, False),
            (Verdict.FAIL, True),
            (Verdict.INCONCLUSIVE, True),
            (Verdict.NOT_APPLICABLE, False),
        ],
    )
    def test_error_severity(self, verdict, expected):
        assert decides(self.finding(verdict)) is expected

    @pytest.mark.parametrize("verdict", list(Verdict))
    def test_warnings_never_decide(self, verdict):
        assert not decides(self.finding(verdict, Severity.WARN))

    def test_an_undecided_check_may_be_allowed(self):
        assert not decides(self.finding(Verdict.INCONCLUSIVE, allow_inconclusive=True))
        assert decides(self.finding(Verdict.FAIL, allow_inconclusive=True))


def test_a_finding_prints_what_was_declared():
    declared = check(property=Rise(until="critical", min_gain=0.3), allow_inconclusive=True)
    finding = alone(declared, answers(5, 5))
    assert finding.declared == {
        "metric": "probability of the emitted token",
        "property": "Rise",
        "parameters": {"until": "critical", "max_downward": 0.25, "min_gain": 0.3},
        "holds_for": {"side": ">=", "value": 0.7, "of": "images"},
        "tokens": "eligible",
        "lens": None,
        "allow_inconclusive": True,
    }
    assert finding.bound.unit == "share of images"
    assert alone(check(property=Saturates()), answers(5, 5)).declared["parameters"] == {}


def test_the_same_seed_gives_the_same_finding_and_another_another():
    lead = check(property=Value(), holds_for=at_least(0.4, of="mean"))
    evidence = evidence_of("normed", [trace([i / 20] * 13, name=f"p{i}") for i in range(20)])
    first, again = (judge([observe(lead, evidence, seed=1)])[0] for _ in range(2))
    assert first == again
    one, other = (observe(lead, evidence, seed=k).estimate for k in (1, 2))
    assert not np.array_equal(one.replicates, other.replicates)


def test_a_property_that_cannot_read_the_metric_is_an_error_not_a_pass():
    wrong = check(property=Rise(), metric=neighbour_divergence)
    with pytest.raises(CheckError, match="needs a curve over 13 states"):
        observe(wrong, answers(5, 5))
