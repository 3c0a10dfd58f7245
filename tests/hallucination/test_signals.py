"""Signals against values by hand and plain loops, and what none of them can ever see."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from lvlm_audit.errors import SignalError, TraceError
from lvlm_audit.hallucination.signals import (
    BASELINE,
    Signal,
    TokenEvidence,
    register,
    signals,
    unregister,
)
from lvlm_audit.metrics.premature import deco_states
from lvlm_audit.traces.image_words import ImageWords
from lvlm_audit.traces.trace import Asked, PairedTrace, Trace
from tests.synthetic import EARLY, EMITTED, OTHER, pair, rising, trace

BY_NAME = {signal.name: signal for signal in signals()}


def value(name: str, made: Trace, **beside: object) -> float:
    scores = BY_NAME[name].scores(TokenEvidence.of(made, **beside))  # type: ignore[arg-type]
    assert scores.shape == (made.tokens,)
    assert scores.dtype == np.float64
    assert len(set(scores.tolist())) == 1 or np.isnan(scores).all()
    return float(scores[0])


def words(made: Trace, confidence: list[float]) -> ImageWords:
    whole = np.tile(np.asarray(confidence, np.float32), (made.tokens, 1))
    return ImageWords(
        made.asked, "normed", made.token_ids, whole, np.zeros(whole.shape, np.int32), positions=3
    )


# --- by hand; 12 blocks: settled after 2 states, last quarter from state 10, upper half from state 6 ---

LOST = [0.1] * 10 + [0.7, 0.8, 0.9]
"""The emitted token takes over at state 10 ..."""
LED = [0.05] * 6 + [0.6] * 4 + [0.2, 0.1, 0.05]
"""... from one that had led since state 6, with at most 0.5 more."""
LEADERS = [EARLY] * 6 + [OTHER] * 4 + [EMITTED] * 3


def turning() -> Trace:
    return trace(LOST, leader=LEADERS, candidates={OTHER: LED, EARLY: [0.3] * 6 + [0.05] * 7})


def test_reversal_is_the_margin_at_the_mutation():
    assert value("reversal", turning()) == pytest.approx(0.7 - 0.2, abs=1e-6)


def test_a_change_at_the_terminal_transition_is_no_reversal():
    late = [0.1] * 12 + [0.9]
    made = trace(
        late,
        leader=[OTHER] * 12 + [EMITTED],
        candidates={OTHER: [0.8] * 12 + [0.05], EARLY: [0.0] * 13},
    )
    assert value("reversal", made) == 0.0
    # Without a threshold on depth the same change is a lost lead.
    assert value("lead_loss", made) == pytest.approx((0.8 - 0.1) - (0.05 - 0.9), abs=1e-6)


def test_a_reversal_to_another_token_is_not_one():
    """OTHER takes over at 10, the emitted token only at 12."""
    p = [0.1] * 10 + [0.1, 0.2, 0.9]
    other = [0.0] * 10 + [0.8, 0.7, 0.05]
    made = trace(
        p,
        leader=[EARLY] * 10 + [OTHER] * 2 + [EMITTED],
        candidates={OTHER: other, EARLY: [0.8] * 10 + [0.05] * 3},
    )
    assert value("reversal", made) == 0.0


def test_what_never_settled_cannot_be_reversed():
    back_and_forth = [EARLY, OTHER] * 5 + [EMITTED] * 3
    made = trace(
        LOST,
        leader=back_and_forth,
        candidates={EARLY: [0.4, 0.1] * 5 + [0.05] * 3, OTHER: [0.1, 0.4] * 5 + [0.05] * 3},
    )
    assert value("reversal", made) == 0.0
    assert value("churn", made) == 10.0


def test_lead_loss_is_the_lead_that_was_lost():
    assert value("lead_loss", turning()) == pytest.approx((0.6 - 0.1) - (0.05 - 0.9), abs=1e-6)


def test_a_lead_in_the_lower_half_is_not_lost():
    made = trace([0.1] * 6 + [0.9] * 7, leader=[EARLY] * 6 + [EMITTED] * 7)
    assert value("lead_loss", made) == 0.0


def test_late_burst_leaves_the_terminal_transition_out():
    # Transitions into states 10 and 11 are the last quarter's; 9 -> 10 is transition 9.
    jsd = [0.9] * 9 + [0.2, 0.3, 1.0]
    assert value("late_burst", trace(LOST, divergence=jsd)) == pytest.approx(0.3)


def test_a_model_of_two_blocks_has_no_late_burst():
    assert math.isnan(value("late_burst", trace([0.1, 0.2, 0.9])))


def test_final_probability_and_entropy_are_read_at_the_last_state():
    made = turning()
    assert value("final_probability", made) == pytest.approx(0.1)
    assert value("entropy", made) == pytest.approx(0.1)  # synthetic entropy: 1 - p


def test_dola_is_the_largest_divergence_of_the_upper_bucket():
    # 12 blocks: states 6, 8 and 10. jsd_to_final of the synthetic trace: |p - p_L|.
    p = [0.9, 0.0, 0.9, 0.0, 0.9, 0.0, 0.5, 0.0, 0.6, 0.0, 0.7, 0.0, 0.9]
    assert value("dola", trace(p)) == pytest.approx(0.4)


def deco_trace(finals: list[float], curves: dict[int, list[float]], emitted: list[float]) -> Trace:
    """With the two tokens beside the emitted one at the final state; of each state two are kept."""
    made = trace(emitted, leader=LEADERS, candidates=curves)
    ids = np.array(made.top_ids)
    known = {EMITTED: emitted, **curves}
    probs = np.array([[[known[i][j] for i in pair] for j, pair in enumerate(t)] for t in ids])
    probs = probs.astype(np.float32)
    ids[:, -1], probs[:, -1] = [EMITTED, OTHER], finals
    return dataclasses.replace(made, top_ids=ids, top_probs=probs)


def test_deco_compares_the_peaks_within_the_window():
    # 12 blocks: states round(7.5) = 8 to round(10.5) = 10.
    assert deco_states(12) == (8, 9, 10)
    curves = {OTHER: [0.9] * 8 + [0.2, 0.6, 0.2] + [0.1, 0.3], EARLY: [0.0] * 13}
    emitted = [0.05] * 8 + [0.3, 0.3, 0.35] + [0.4, 0.6]
    assert value("deco", deco_trace([0.6, 0.3], curves, emitted)) == pytest.approx(0.6 - 0.35)


def test_deco_asks_the_final_top_p_alone():
    """Where the emitted token holds 0.9 by itself there is no candidate beside it."""
    curves = {OTHER: [0.9] * 12 + [0.05], EARLY: [0.0] * 13}
    emitted = [0.05] * 8 + [0.06, 0.07, 0.08] + [0.1, 0.92]
    made = deco_trace([0.92, 0.05], curves, emitted)
    assert value("deco", made) == pytest.approx(-0.08)


def test_deco_needs_a_second_token():
    made = turning()
    one = dataclasses.replace(
        made, top_ids=made.top_ids[:, :, :1], top_probs=made.top_probs[:, :, :1]
    )
    assert math.isnan(value("deco", one))


def test_overthinking_is_mean_entropy_times_distinct_leaders():
    made = turning()
    mean = (1 - np.array(LOST[1:])).mean()
    assert value("overthinking", made) == pytest.approx(mean * 3 / 12, rel=1e-5)


def test_grounding_and_image_confidence_turn_their_curves_around():
    made = turning()
    blind = dataclasses.replace(pair([0.9] * 12 + [0.25]), token_ids=made.token_ids)
    assert value("grounding", made, without_image=blind) == pytest.approx(0.75)
    seen = words(made, [0.0, 0.4, *[0.1] * 11])
    assert value("image_confidence", made, words=seen) == pytest.approx(0.6)


@pytest.mark.parametrize("name", ["grounding", "image_confidence"])
def test_what_was_not_measured_is_not_a_number(name):
    assert math.isnan(value(name, turning()))


# --- against plain loops over random traces ---


@st.composite
def random_traces(draw: st.DrawFn) -> Trace:
    """One token whose distributions over four words are drawn at every state."""
    states = draw(st.integers(3, 30))
    seed = draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(states, 4)) * draw(st.floats(0.5, 6))
    # Neighbours are alike, so that leaders settle.
    logits = np.cumsum(logits, axis=0) / np.sqrt(np.arange(1, states + 1))[:, None]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return from_distributions(p)


def from_distributions(p: np.ndarray) -> Trace:
    """A trace of one token from distributions [S, V] over a small vocabulary."""
    states, vocabulary = p.shape
    order = np.argsort(-p, axis=1, kind="stable")
    emitted = int(order[-1, 0])
    ids = np.arange(vocabulary)
    base = trace([0.5] * states, tokens=1)
    p32 = p.astype(np.float32)
    jsd = [jensenshannon(a, b, base=2) ** 2 for a, b in itertools.pairwise(p)]
    final = [jensenshannon(a, p[-1], base=2) ** 2 for a in p]
    entropy = -(p * np.log2(p)).sum(1)
    return dataclasses.replace(
        base,
        token_ids=np.array([emitted]),
        probability=p32[None, :, emitted],
        rank=(p > p[:, [emitted]]).sum(1)[None].astype(np.int32),
        divergence=np.array([jsd], np.float32),
        entropy=entropy[None].astype(np.float32),
        jsd_to_final=np.array([final], np.float32),
        top_ids=order[None],
        top_probs=np.take_along_axis(p32, order, 1)[None],
        candidate_ids=ids[None],
        candidate_probability=p32.T[None],
        vocabulary={int(i): f"w{i}" for i in ids},
    )


@given(random_traces())
@settings(max_examples=150, deadline=None)
def test_signals_are_their_definitions(made):
    """Every signal of the trace again, token by token, from the distributions alone."""
    p = made.candidate_probability[0].T.astype(float)  # [S, V]
    blocks, emitted = len(p) - 1, int(made.token_ids[0])
    lead = p.argmax(1)
    others = [c for c in range(p.shape[1]) if c != emitted]

    assert value("final_probability", made) == pytest.approx(1 - p[-1, emitted], abs=1e-6)
    assert value("churn", made) == sum(a != b for a, b in itertools.pairwise(lead))
    assert value("entropy", made) == pytest.approx(-(p[-1] * np.log2(p[-1])).sum(), abs=1e-4)
    unsure = np.mean([-(q * np.log2(q)).sum() for q in p[1:]])
    assert value("overthinking", made) == pytest.approx(
        unsure * len(set(lead[1:].tolist())) / blocks, abs=1e-4
    )
    spans = [jensenshannon(p[j], p[-1], base=2) ** 2 for j in range(blocks // 2, blocks, 2)]
    assert value("dola", made) == pytest.approx(max(spans), abs=1e-4)

    late = [
        jensenshannon(p[i], p[i + 1], base=2) ** 2
        for i in range(blocks - 1)
        if i + 1 > math.floor(0.75 * blocks)
    ]
    found = value("late_burst", made)
    assert math.isnan(found) if not late else found == pytest.approx(max(late), abs=1e-4)

    gaps = {
        (c, j): p[j, c] - p[j, emitted]
        for c in others
        for j in range(math.ceil(blocks / 2), blocks)
    }
    strongest = max(gaps, key=lambda key: gaps[key], default=None)
    loss = 0.0
    if strongest is not None and gaps[strongest] > 0:
        c = strongest[0]
        loss = gaps[strongest] - (p[-1, c] - p[-1, emitted])
    assert value("lead_loss", made) == pytest.approx(loss, abs=1e-4)

    ranked = sorted(range(p.shape[1]), key=lambda c: -p[-1, c])
    allowed, mass = [], 0.0
    for c in ranked:
        if mass >= 0.9:
            break
        allowed.append(c)
        mass += p[-1, c]
    here = deco_states(blocks)
    rival = max((p[j, c] for j in here for c in allowed if c != emitted), default=0.0)
    if abs(mass - 0.9) > 1e-4 and len(allowed) < p.shape[1]:
        assert value("deco", made) == pytest.approx(rival - p[list(here), emitted].max(), abs=1e-5)

    assert value("reversal", made) == pytest.approx(slow_reversal(p, emitted), abs=1e-5)


def slow_reversal(p: np.ndarray, emitted: int) -> float:
    """Late mutation (docs/method.md#late-mutation), told as a story about one token."""
    blocks = len(p) - 1
    need = max(2, math.ceil(0.1 * blocks))
    settled, best = None, 0.0
    for j in range(blocks):
        leader = int(p[j].argmax())
        if settled is not None and leader != settled:
            margin = p[j, leader] - p[j, settled]
            if margin >= 0.1:
                if j > math.floor(0.75 * blocks) and leader == emitted:
                    best = max(best, margin)
                settled = None
        run = [int(q.argmax()) for q in p[max(0, j - need + 1) : j + 1]]
        if len(run) == need and len(set(run)) == 1:
            settled = leader
    return best


@given(random_traces())
@settings(max_examples=60, deadline=None)
def test_ranges(made):
    blocks = made.blocks
    bounds = {
        "final_probability": (0, 1),
        "reversal": (0, 1),
        "lead_loss": (0, 2),
        "late_burst": (0, 1),
        "churn": (0, blocks),
        "entropy": (0, 2),
        "dola": (0, 1),
        "deco": (-1, 1),
        "overthinking": (0, 2),
    }
    for name, (low, high) in bounds.items():
        found = value(name, made)
        assert math.isnan(found) or low - 1e-5 <= found <= high + 1e-5, name
    reversal = value("reversal", made)
    assert reversal == 0 or reversal >= 0.1 - 1e-6


# --- what a signal cannot see ---


def test_the_evidence_holds_arrays_and_nothing_else():
    made = turning()
    blind = dataclasses.replace(pair([0.5] * 13), token_ids=made.token_ids)
    seen = TokenEvidence.of(made, blind, words(made, [0.1] * 13))
    for field in dataclasses.fields(seen):
        assert isinstance(getattr(seen, field.name), np.ndarray), field.name
    reachable = {name for name in dir(seen) if not name.startswith("_")}
    assert reachable.isdisjoint(
        {"asked", "labels", "reference", "answer", "vocabulary", "token_texts"}
    )
    with pytest.raises((AttributeError, TypeError)):
        seen.labels = {"truth": "no"}  # type: ignore[attr-defined]


def test_labels_and_reference_change_no_score():
    made = turning()
    told = dataclasses.replace(
        made, asked=Asked("p0", "?", "p0", "It is red.", {"hallucinated": ["blue"], "truth": "red"})
    )
    for signal in signals():
        one, two = (signal.scores(TokenEvidence.of(t)) for t in (made, told))
        np.testing.assert_array_equal(one, two)


def test_a_signal_cannot_write_to_the_evidence():
    made = turning()
    before = made.probability.copy()

    def cheat(evidence: TokenEvidence) -> np.ndarray:
        evidence.probability[:] = 0
        return evidence.probability[:, -1]

    with pytest.raises(SignalError, match="'cheat' failed: ValueError"):
        Signal("cheat", "s", "here", cheat).scores(TokenEvidence.of(made))
    np.testing.assert_array_equal(made.probability, before)


@pytest.mark.parametrize("kind", ["pair", "words"])
def test_a_recording_of_another_answer_is_refused(kind):
    made = turning()
    other: PairedTrace | ImageWords = (
        pair([0.5] * 13) if kind == "pair" else words(made, [0.1] * 13)
    )
    other = dataclasses.replace(other, token_ids=np.asarray(made.token_ids) + 1)
    with pytest.raises(TraceError, match="holds another answer"):
        TokenEvidence.of(made, *([other] if kind == "pair" else [None, other]))  # type: ignore[arg-type]


# --- the registry ---


@pytest.fixture
def mine():
    signal = Signal("third_party", "A length.", "nobody 2026", lambda e: e.probability[:, 0])
    yield register(signal)
    unregister(signal.name)


def test_a_third_party_signal_joins_the_others(mine):
    assert signals()[0] is BASELINE
    assert signals()[-1] is mine
    assert register(mine) is mine
    assert signals().count(mine) == 1
    assert value("final_probability", turning()) == pytest.approx(0.1)


def test_a_name_that_is_taken_is_refused(mine):
    with pytest.raises(SignalError, match="there is a signal 'churn' already"):
        register(Signal("churn", "s", "x", lambda e: e.probability[:, 0]))
    with pytest.raises(SignalError, match="'third_party' already"):
        register(dataclasses.replace(mine, source="somebody else"))


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (lambda e: e.probability, "shape \\(4, 13\\) for 4 tokens"),
        (lambda e: np.full(4, np.inf), "infinite value"),
        (lambda e: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_what_is_no_number_a_token_is_refused(score, message):
    with pytest.raises(SignalError, match=message):
        Signal("odd", "s", "x", score).scores(TokenEvidence.of(trace(rising())))


def test_a_signal_that_is_declared_wrongly():
    with pytest.raises(SignalError, match="'my signal' needs a name"):
        Signal("my signal", "s", "x", lambda e: e.probability[:, 0])
    with pytest.raises(SignalError, match="needs 'attention', which is not recorded"):
        Signal("a", "s", "x", lambda e: e.probability[:, 0], needs="attention")  # type: ignore[arg-type]


def test_every_signal_says_what_it_is():
    for signal in signals():
        assert signal.statement.endswith(".")
        assert signal.source
        assert len({s.name for s in signals()}) == len(signals())
