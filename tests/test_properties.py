"""Properties against curves worked out by hand, and laws that hold for any curve."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.errors import CheckError
from lvlm_audit.metrics.curves import (
    image_divergence,
    neighbour_divergence,
    nucleus_mass,
    token_lead,
    token_probability,
)
from lvlm_audit.properties import (
    Context,
    Kept,
    LateMutation,
    LevelGap,
    Plateau,
    Rise,
    Saturates,
    Value,
    register,
)
from lvlm_audit.traces.trace import Trace
from tests.effort import examples
from tests.synthetic import EARLY, EMITTED, OTHER, pair, rising, trace

L = 12
"""12 blocks: a settled run is 2 states, the last quarter begins at state 10, state 12 is terminal."""
NOWHERE = Context(None)


def one(property, recording, metric=token_probability, context=NOWHERE) -> float:
    """The value that all tokens of a hand-made recording share."""
    values = property.observe(recording, metric.curve(recording), context)
    assert values.shape == (len(recording.token_ids),)
    assert values.dtype == np.float64
    assert len(np.unique(values)) == 1
    return float(values[0])


def padded(start: list[float], then: float) -> list[float]:
    """A curve of L + 1 states that stays at `then` after its start."""
    return start + [then] * (L + 1 - len(start))


class TestRise:
    def test_a_sharp_rise_holds(self):
        assert one(Rise(), trace(rising(L, 6))) == 1

    def test_an_all_zero_curve_does_not_rise(self):
        assert one(Rise(), trace([0.0] * (L + 1))) == 0

    def test_a_constant_curve_does_not_rise(self):
        assert one(Rise(), trace([0.9] * (L + 1))) == 0

    def test_a_quarter_of_downward_movement_is_still_a_rise(self):
        # Up 0.5, down 0.25, up 0.25: 0.25 of a total variation of 1 points down; settles at state 3.
        assert one(Rise(), trace(padded([0.0, 0.5, 0.25], 0.5))) == 1

    def test_a_little_more_than_a_quarter_is_not(self):
        assert one(Rise(), trace(padded([0.0, 0.5, 0.25 - 1 / 64], 0.5))) == 0

    def test_the_bound_on_downward_movement_is_a_parameter(self):
        curve = trace(padded([0.0, 0.5, 0.25], 0.5))
        assert one(Rise(max_downward=0.2), curve) == 0

    def test_movement_after_the_settle_state_does_not_count(self):
        # From state 1 on never below 0.9 of the peak: settled, however much it trembles.
        tremble = [0.0] + [1.0, 0.90625] * 6
        assert one(Rise(), trace(tremble)) == 1
        assert one(Rise(until="last"), trace(tremble)) == 0

    @pytest.mark.parametrize(("gain", "holds"), [(0.25, 1), (0.25 - 1 / 64, 0)])
    def test_the_gain_must_reach_its_bound(self, gain, holds):
        curve = padded([0.5] * 4, 0.5 + gain)
        assert one(Rise(min_gain=0.25), trace(curve)) == holds

    def test_a_token_that_never_settles_counts_as_not_rising(self):
        assert one(Rise(), trace([*rising(L, 6)[:-1], 0.1])) == 0

    def test_the_node_is_the_nucleus_mass_and_the_curve_is_the_metric(self):
        # The nucleus settles at 4, the emitted token gains only at 8: no gain at the node.
        late = trace(rising(L, 8), nucleus=rising(L, 4))
        assert one(Rise(), late) == 0
        assert one(Rise(), late, nucleus_mass) == 1

    def test_until_critical_is_the_half_way_state(self):
        # Half of the peak from state 2 on, then a dip, then the top: down only after critical.
        curve = padded([0.0, 0.25, 0.5, 0.75, 0.5], 1.0)
        assert one(Rise(until="critical", max_downward=0.0), trace(curve)) == 1
        assert one(Rise(until="settle", max_downward=0.0), trace(curve)) == 0

    def test_it_refuses_replays(self):
        with pytest.raises(CheckError, match="Rise reads a model's own answers, not a PairedTrace"):
            one(Rise(), pair([0.1] * 13), image_divergence)

    def test_it_refuses_a_curve_over_transitions(self):
        with pytest.raises(CheckError, match=r"Rise needs a curve over 13 states, not \(4, 12\)"):
            one(Rise(), trace(rising(L)), neighbour_divergence)


class TestPlateau:
    def see(self, settle: float | None, **more) -> float:
        more.setdefault("divergence", [0.5] * 6 + [0.0] * 6)
        more.setdefault("leader", [EARLY] * 6 + [EMITTED] * 7)
        return one(
            Plateau(0.125), trace(rising(L, 6), **more), neighbour_divergence, Context(settle)
        )

    def test_quiet_after_the_settle_state_holds(self):
        assert self.see(6) == 1

    def test_the_window_begins_at_the_given_state_not_at_the_tokens_own(self):
        # The token settles at 6; from state 4 on there are transitions 4 and 5 of 0.5 bit.
        assert self.see(4) == 0

    def test_half_states_are_rounded_up(self):
        assert self.see(5.5) == 1
        assert self.see(5.0) == 0

    def test_divergence_at_the_bound_holds_and_just_over_does_not(self):
        quiet = [0.5] * 6 + [0.0] * 6
        quiet[8] = 0.125
        assert self.see(6, divergence=quiet) == 1
        quiet[8] = 0.126
        assert self.see(6, divergence=quiet) == 0

    def test_the_terminal_transition_is_not_part_of_it(self):
        burst = [0.5] * 6 + [0.0] * 5 + [1.0]
        changed = [EARLY] * 6 + [EMITTED] * 6 + [OTHER]
        assert self.see(6, divergence=burst, leader=changed) == 1

    @pytest.mark.parametrize("state", [7, 11])
    def test_a_change_of_leader_breaks_it_even_between_close_states(self, state):
        leader = [EMITTED] * (L + 1)
        leader[state] = OTHER
        assert self.see(6, leader=leader) == 0

    def test_a_leader_that_changes_before_the_window_does_not(self):
        leader = [EMITTED] * 13
        leader[5] = OTHER
        assert self.see(6, leader=leader) == 1

    def test_too_short_a_window_is_not_applicable(self):
        # Up to state 11 there are 2 transitions from 9 on and 1 from 10 on; 2 are needed.
        assert self.see(9) == 1
        assert np.isnan(self.see(9.5))
        assert np.isnan(self.see(10))
        assert np.isnan(self.see(12))

    def test_without_a_settle_state_it_is_not_applicable(self):
        assert np.isnan(self.see(None))

    def test_deep_models_need_a_tenth_of_their_depth(self):
        deep = trace(rising(40, 30), divergence=[0.0] * 40, leader=[EMITTED] * 41)
        assert one(Plateau(), deep, neighbour_divergence, Context(35)) == 1
        assert np.isnan(one(Plateau(), deep, neighbour_divergence, Context(36)))

    def test_it_refuses_a_curve_over_states(self):
        with pytest.raises(CheckError, match="Plateau needs a curve over 12 transitions"):
            one(Plateau(), trace(rising(L)), token_probability, Context(6))


def mutating(*, at: int, margin: float = 0.5, settled_from: int = 4, before: int = OTHER) -> Trace:
    """A token whose leader settles and is replaced by the emitted token with a margin."""
    leader = [EARLY if j % 2 else EMITTED for j in range(settled_from)]
    leader += [before] * (at - settled_from) + [EMITTED] * (L + 1 - at)
    after = np.where(np.arange(L + 1) >= at, 0.2 + margin, 0.1)
    return trace(
        list(after),
        leader=leader,
        candidates={EMITTED: list(after), OTHER: [0.2] * (L + 1), EARLY: [0.0] * (L + 1)},
    )


class TestLateMutation:
    def test_a_settled_leader_replaced_in_the_last_quarter_mutates(self):
        assert one(LateMutation(), mutating(at=10)) == 1
        assert one(LateMutation(), mutating(at=11)) == 1

    @pytest.mark.parametrize(("margin", "mutates"), [(0.11, 1), (0.09, 0)])
    def test_the_margin_is_a_tenth(self, margin, mutates):
        assert one(LateMutation(), mutating(at=10, margin=margin)) == mutates

    def test_a_margin_that_grows_to_a_tenth_later_counts_where_it_does(self):
        p = np.where(np.arange(L + 1) >= 10, 0.35, 0.1)
        p[11:] = 0.45
        grows = trace(
            list(p),
            leader=[OTHER] * 10 + [EMITTED] * 3,
            candidates={EMITTED: list(p), OTHER: [0.3] * 13},
        )
        assert one(LateMutation(), grows) == 1

    def test_before_the_last_quarter_is_not_late(self):
        assert one(LateMutation(), mutating(at=9)) == 0

    def test_the_terminal_state_is_reported_apart(self):
        assert one(LateMutation(), mutating(at=12)) == 0

    def test_no_change_is_no_mutation(self):
        assert one(LateMutation(), trace(rising(L, 6))) == 0

    def test_what_never_settled_cannot_mutate(self):
        alternating = [EMITTED if j % 2 else OTHER for j in range(L + 1)]
        assert np.isnan(one(LateMutation(), trace(rising(L, 6), leader=alternating)))

    def test_a_leader_that_settles_too_late_to_be_overturned_is_not_applicable(self):
        # Two states in a row only at 10 and 11: state 11 is the last that could overturn it.
        leader = [EMITTED if j % 2 else OTHER for j in range(10)] + [EARLY] * 3
        assert np.isnan(one(LateMutation(), trace([0.1] * 13, leader=leader)))
        leader = [EMITTED if j % 2 else OTHER for j in range(9)] + [EARLY] * 4
        assert one(LateMutation(), trace([0.1] * 13, leader=leader)) == 0

    def test_a_single_state_of_another_leader_is_a_replacement_too(self):
        leader = [OTHER] * 10 + [EMITTED] + [OTHER] * 2
        p = [0.1] * 10 + [0.6] + [0.1] * 2
        blip = trace(p, leader=leader, candidates={EMITTED: p, OTHER: [0.4] * 13})
        assert one(LateMutation(), blip) == 1


class TestSaturates:
    @pytest.mark.parametrize(("final_from", "holds"), [(0, 1), (10, 1), (11, 0), (12, 0)])
    def test_final_before_the_last_but_one_state(self, final_from, holds):
        leader = [EARLY] * final_from + [EMITTED] * (L + 1 - final_from)
        assert one(Saturates(), trace(rising(L, 6), leader=leader)) == holds

    def test_a_leader_that_comes_back_is_final_from_its_last_return(self):
        leader = [EMITTED] * 8 + [OTHER] * 3 + [EMITTED] * 2
        assert one(Saturates(), trace(rising(L, 6), leader=leader)) == 0


class TestValue:
    def test_at_the_last_state(self):
        assert one(Value(), trace([*rising(L, 6)[:-1], 0.75])) == 0.75

    def test_at_a_node(self):
        # Peak 1: critical (0.5) at state 4, settle (0.9) at state 8.
        curve = [0.0] * 4 + [0.5] * 4 + [1.0] * 5
        distractor_free = trace(curve, distractor=0.25)
        assert one(Value("critical"), distractor_free) == 0.5
        assert one(Value("settle"), distractor_free) == 1.0
        assert one(Value("settle"), distractor_free, token_lead) == 0.75

    def test_without_the_node_it_does_not_apply(self):
        assert np.isnan(one(Value("settle"), trace([0.1] * 13)))

    def test_a_missing_distractor_does_not_apply(self):
        assert np.isnan(one(Value("settle"), trace(rising(), distractor=float("nan")), token_lead))

    def test_replays_have_a_last_state_but_no_nodes(self):
        replay = pair([0.0] * 12 + [0.25])
        assert one(Value(), replay, image_divergence) == 0.25
        with pytest.raises(CheckError, match=r"Value\(at=node\) reads a model's own answers"):
            one(Value("settle"), replay, image_divergence)

    def test_an_unknown_place_is_refused(self):
        with pytest.raises(CheckError, match="'setle' is not a place"):
            Value("setle")  # type: ignore[arg-type]
        with pytest.raises(CheckError, match="'critcal' is not a place"):
            Rise(until="critcal")  # type: ignore[arg-type]


class TestKept:
    @pytest.mark.parametrize(("end", "holds"), [(0.25, 1), (0.24, 0), (0.5, 1), (0.0, 0)])
    def test_at_least_half_of_the_peak(self, end, holds):
        assert one(Kept(), pair([0.0, 0.5, 0.5, end]), image_divergence) == holds

    def test_a_curve_without_a_peak_has_nothing_to_keep(self):
        assert np.isnan(one(Kept(), pair([0.0, 0.049, 0.049, 0.0]), image_divergence))
        assert one(Kept(), pair([0.0, 0.0625, 0.0625, 0.0]), image_divergence) == 0


class TestLevelGap:
    def see(self, critical: int, collapse: int) -> float:
        jsd = [0.5] * collapse + [0.0] * (L - collapse)
        return one(LevelGap(), trace(rising(L, critical), divergence=jsd), nucleus_mass)

    def test_the_same_state_has_no_gap(self):
        assert self.see(6, 6) == 0

    def test_the_gap_is_a_share_of_the_depth_without_sign(self):
        assert self.see(9, 6) == 0.25
        assert self.see(6, 9) == 0.25

    def test_a_level_without_a_node_does_not_apply(self):
        flat = trace(rising(L, 6), divergence=[0.25] * L)
        assert np.isnan(one(LevelGap(), flat, nucleus_mass))
        never = trace([0.05] * 13, divergence=[0.5] * 6 + [0.0] * 6)
        assert np.isnan(one(LevelGap(), never, nucleus_mass))


def test_two_properties_may_not_share_a_name():
    class Rise:  # another package's, by chance
        pass

    with pytest.raises(CheckError, match="a property named 'Rise' is registered already"):
        register(Rise)


probabilities = st.floats(0, 1, width=32)


@st.composite
def any_trace(draw) -> Trace:
    blocks = draw(st.integers(4, 14))
    curve = draw(st.lists(probabilities, min_size=blocks + 1, max_size=blocks + 1))
    return trace(
        curve,
        tokens=draw(st.integers(1, 3)),
        nucleus=draw(st.lists(probabilities, min_size=blocks + 1, max_size=blocks + 1)),
        divergence=draw(st.lists(probabilities, min_size=blocks, max_size=blocks)),
        leader=draw(
            st.lists(
                st.sampled_from([EMITTED, EARLY, OTHER]), min_size=blocks + 1, max_size=blocks + 1
            )
        ),
    )


@examples(60)
@given(any_trace(), st.one_of(st.none(), st.floats(0, 14)))
def test_statements_are_one_zero_or_not_applicable(recording, settle):
    for property, metric in (
        (Rise(), token_probability),
        (Rise(until="critical"), nucleus_mass),
        (Plateau(), neighbour_divergence),
        (LateMutation(), token_probability),
        (Saturates(), token_probability),
        (Kept(), nucleus_mass),
    ):
        values = property.observe(recording, metric.curve(recording), Context(settle))
        assert property.statement
        assert np.isin(values[~np.isnan(values)], [0.0, 1.0]).all()


@examples(60)
@given(st.lists(probabilities, min_size=5, max_size=15).map(sorted))
def test_a_curve_that_only_climbs_rises_exactly_if_it_gains_enough(curve):
    recording = trace(curve)
    settled = recording.nucleus_mass[0] >= np.float32(0.9) * recording.nucleus_mass[0].max()
    node = int(np.argmax(settled))
    gain = float(recording.probability[0, node]) - float(recording.probability[0, 0])
    if abs(gain - 0.2) > 1e-5:
        assert one(Rise(), recording) == (gain > 0.2)


@examples(60)
@given(any_trace(), st.floats(0, 14), st.floats(0, 1), st.floats(0, 1))
def test_a_looser_bound_never_breaks_a_plateau(recording, settle, one_bound, other_bound):
    tight, loose = sorted((one_bound, other_bound))
    curve, context = recording.divergence, Context(settle)
    strict = Plateau(tight).observe(recording, curve, context)
    lax = Plateau(loose).observe(recording, curve, context)
    assert (np.isnan(strict) == np.isnan(lax)).all()
    assert not (strict > lax).any()


@examples(200)
@given(any_trace())
def test_a_late_mutation_has_a_settled_leader_that_another_token_has_overturned(recording):
    """In words of the definition, token by token: the change may come before the last quarter, the
    margin that makes it a mutation within it."""
    states = recording.blocks + 1
    late = range(math.floor(0.75 * recording.blocks) + 1, recording.blocks)
    need = max(2, math.ceil(0.1 * recording.blocks))
    mutated = LateMutation().observe(recording, recording.probability, NOWHERE) == 1
    for t in np.nonzero(mutated)[0]:
        leader = recording.leader[t].tolist()
        settled = {leader[j] for j in range(states) if leader[j : j + need] == [leader[j]] * need}
        by_id = dict(
            zip(recording.candidate_ids[t], recording.candidate_probability[t], strict=True)
        )
        assert any(
            by_id[leader[j]][j] - by_id[old][j] >= 0.1 - 1e-6
            for j in late
            for old in settled - {leader[j]}
        )
