"""What a trace refuses: each message names the probe and the field."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from lvlm_audit.errors import TraceError
from lvlm_audit.traces.items import array_fields
from lvlm_audit.traces.trace import PairedTrace, TokenClass, Trace
from tests.synthetic import EARLY, EMITTED, pair, rising, trace

T, L, S = 4, 12, 13


def changed(recording: Any, **fields: Any) -> Any:
    """The recording with some fields replaced; construction validates again."""
    return dataclasses.replace(recording, **fields)


def poked(recording: Any, name: str, at: tuple[int, ...], value: float) -> Any:
    array = np.array(getattr(recording, name))
    array[at] = value
    return changed(recording, **{name: array})


def test_sizes_are_read_off_the_arrays():
    recording = trace(rising(L), tokens=T)
    assert (recording.tokens, recording.blocks) == (T, L)
    assert recording.leader.shape == (T, S)


@pytest.mark.parametrize("name", [n for n in array_fields(Trace) if n != "features"])
def test_every_array_of_a_trace_must_have_its_shape(name):
    recording = trace(rising(L), name="photo-7", tokens=T, paper_index=[0.1] * L)
    array = getattr(recording, name)
    for wrong in (array[:-1], array[..., None]):
        with pytest.raises(TraceError, match=rf"probe 'photo-7'.*\b{name}\b"):
            changed(recording, **{name: np.ascontiguousarray(wrong)})
    with pytest.raises(TraceError, match=rf"probe 'photo-7': {name} must be an array"):
        changed(recording, **{name: array.tolist()})


@pytest.mark.parametrize("name", array_fields(PairedTrace))
def test_every_array_of_a_paired_trace_must_have_its_shape(name):
    recording = pair([0.1] * S, name="photo-7")
    for wrong in (getattr(recording, name)[:-1], getattr(recording, name)[None]):
        with pytest.raises(TraceError, match=rf"probe 'photo-7'.*\b{name}\b"):
            changed(recording, **{name: wrong})


def test_divergence_has_one_column_fewer_than_states():
    recording = trace(rising(L))
    with pytest.raises(TraceError, match=r"divergence has shape \(4, 13\).* S = 13"):
        changed(recording, divergence=recording.probability)


def test_the_paper_index_has_no_upper_bound_and_is_asked_for_by_name():
    recording = trace(rising(L), name="photo-7", paper_index=[2.5] * L)
    np.testing.assert_array_equal(recording.between_neighbours("paper_index"), np.full((T, L), 2.5))
    np.testing.assert_array_equal(recording.between_neighbours("jsd"), recording.divergence)
    with pytest.raises(TraceError, match="probe 'photo-7' holds no paper_index. Record it"):
        trace(rising(L), name="photo-7").between_neighbours("paper_index")


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in array_fields(Trace)
        if n != "features" and getattr(trace(rising(L), paper_index=[0.1] * L), n).dtype.kind == "f"
    ],
)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.5])
def test_no_float_may_be_nan_infinite_or_negative(name, value):
    recording = trace(rising(L), name="photo-7", paper_index=[0.1] * L)
    at = (1,) * getattr(recording, name).ndim
    with pytest.raises(TraceError, match=rf"probe 'photo-7': {name}\b"):
        poked(recording, name, at, value)


@pytest.mark.parametrize(
    "name",
    [
        "probability",
        "divergence",
        "jsd_to_final",
        "nucleus_mass",
        "top_probs",
        "candidate_probability",
        "distractor",
    ],
)
def test_probabilities_and_divergences_end_at_one(name):
    # All of the mass is on one token, so that the sums over tokens are no more wrong than the value.
    recording = trace([0.0] * (L + 1))
    at = (1, 1, 0) if name == "top_probs" else (1,) * getattr(recording, name).ndim
    poked(recording, name, at, 1.00005)  # a float32 sum over a vocabulary
    with pytest.raises(TraceError, match=rf"{name} must lie in \[0.0, 1.0\]"):
        poked(recording, name, at, 1.01)


@pytest.mark.parametrize(
    ("name", "at"), [("top_probs", (2, 3, 1)), ("candidate_probability", (2, 1, 3))]
)
def test_probabilities_of_different_tokens_sum_to_one_at_most(name, at):
    recording = trace([0.3] * (L + 1), name="odd")
    last = float(getattr(recording, name)[at])
    rest = 0.7 if name == "top_probs" else 0.3
    poked(recording, name, at, 1 - rest)  # together exactly 1
    assert last < 0.75
    with pytest.raises(TraceError, match=rf"'odd': {name} of token 2 sum to 1\.1.* at state 3"):
        poked(recording, name, at, 1.1 - rest)


def test_bits_may_exceed_one():
    assert poked(trace(rising(L)), "entropy", (0, 0), 15.6).entropy[0, 0] == np.float32(15.6)
    assert poked(trace(rising(L)), "kl_to_final", (0, 0), 40.0).kl_to_final[0, 0] == 40


def test_a_rank_is_not_negative():
    with pytest.raises(TraceError, match="rank is negative"):
        poked(trace(rising(L)), "rank", (0, 0), -1)


def test_a_missing_distractor_is_a_whole_row_of_nan():
    recording = trace(rising(L))
    missing = np.array(recording.distractor)
    missing[1] = np.nan
    assert np.isnan(changed(recording, distractor=missing).distractor[1]).all()
    missing[2, 3] = np.nan
    with pytest.raises(TraceError, match="distractor"):
        changed(recording, distractor=missing)


def test_a_probability_that_underflowed_is_minus_infinity_bits():
    recording = pair([0.1] * S)
    assert np.isneginf(poked(recording, "log2_probability", (1, 0), -np.inf).log2_probability[1, 0])
    for bad in (np.nan, np.inf):
        with pytest.raises(TraceError, match="log2_probability"):
            poked(recording, "log2_probability", (1, 0), bad)


def test_every_leader_must_be_a_candidate():
    recording = trace(rising(L), name="photo-7")
    with pytest.raises(
        TraceError, match=r"probe 'photo-7': token 20 leads at state 0 of token 0, but is not among"
    ):
        changed(recording, candidate_ids=np.where(recording.candidate_ids == EARLY, -1, EMITTED))


def test_an_empty_answer_says_what_to_do():
    recording = trace(rising(L), name="photo-7")
    with pytest.raises(
        TraceError, match=r"probe 'photo-7': the answer has no tokens. Raise max_new"
    ):
        changed(recording, token_texts=())


def test_classes_match_texts():
    with pytest.raises(TraceError, match="3 token_classes for 4 token_texts"):
        changed(trace(rising(L)), token_classes=(TokenClass.CONTENT,) * 3)


def test_an_unknown_lens_is_refused():
    with pytest.raises(TraceError, match="lens 'tuned' is not one of normed, raw"):
        changed(trace(rising(L)), lens="tuned")


def test_a_non_finite_value_is_located_and_has_a_remedy():
    with pytest.raises(TraceError, match=r"entropy\[2, 5\] is nan. .*dtype='float32'"):
        poked(trace(rising(L)), "entropy", (2, 5), np.nan)


class TestEligibility:
    def recording(self) -> Trace:
        return trace(
            rising(L),
            tokens=7,
            classes=[*TokenClass, TokenClass.CONTENT],
            inputs=[40] * 6 + [EMITTED],
        )

    def test_classes_that_count(self):
        # content, function, copied, punctuation, continuation, special, and a repeated content word
        assert self.recording().eligible.tolist() == [True] * 4 + [False] * 3

    def test_content_words_alone(self):
        assert self.recording().content.tolist() == [True] + [False] * 6

    def test_a_token_that_repeats_its_input_is_flagged(self):
        assert self.recording().copied_input.tolist() == [False] * 6 + [True]

    def test_reasons_add_up(self):
        recording = self.recording()
        assert recording.exclusions() == {
            "continuation": 1,
            "special": 1,
            "repeats its input token": 1,
        }
        assert sum(recording.exclusions().values()) == int((~recording.eligible).sum())


def test_features_are_checked_when_they_are_there():
    recording = trace(rising(L))
    features = np.zeros((T, S, 8), dtype=np.float16)
    assert changed(recording, features=features).features is features
    with pytest.raises(TraceError, match="features has shape"):
        changed(recording, features=features[:, :-1])
    features[1, 2, 3] = np.inf
    with pytest.raises(TraceError, match=r"features\[1, 2, 3\] is inf"):
        changed(recording, features=features)
