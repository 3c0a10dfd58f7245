"""Halves, losses and the fixed sequence: laws, values by hand, and how often a wrong set is certified."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lvlm_audit.compression.certification import candidates, certified, upper_bound
from lvlm_audit.compression.losses import agreement, loss
from lvlm_audit.compression.nomination import Nomination
from lvlm_audit.compression.split import Split, halves
from lvlm_audit.errors import ProbeError, TraceError
from lvlm_audit.probes.probe import ImageSource, Probe
from lvlm_audit.statistics import cluster_mean
from lvlm_audit.traces.effects import EffectTrace
from lvlm_audit.traces.trace import Asked, TokenClass


def probe(name: str, cluster: str, picture: bytes = b"") -> Probe:
    image = ImageSource(name, data=picture or cluster.encode())
    return Probe(name, "What?", image, cluster=cluster)


def effect(cluster, kl, agrees=None, *, answer=None, base="Yes.", reference=None) -> EffectTrace:
    n = len(kl)
    leaders = np.zeros((2, n), np.int64)
    if agrees is not None:
        leaders[1] = ~np.array(agrees)
    return EffectTrace(
        asked=Asked(f"{cluster} {kl}", "What?", cluster, reference),
        intervention="s", blocks=(1,), token_ids=np.arange(n), token_texts=("a",) * n,
        token_classes=(TokenClass.CONTENT,) * n, kl=np.array(kl, np.float32),
        divergence=np.zeros(n, np.float32), leaders=leaders,
        log2_probability=np.zeros((2, n), np.float32), base_answer=base, answer=answer,
    )  # fmt: skip


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 9)), min_size=2, max_size=40),
    st.integers(0, 99),
)
def test_no_image_is_in_both_halves(drawn, seed):
    """Probes share clusters, and clusters share pictures under other names."""
    probes = [
        probe(f"p{i}", f"c{cluster}", bytes([picture]))
        for i, (cluster, picture) in enumerate(drawn)
    ]
    split = halves(probes, seed)
    assert sorted([*split.nomination, *split.certification]) == sorted(p.id for p in probes)
    for key in (lambda p: p.cluster, lambda p: p.images[0].read()):
        shown = [
            {key(p) for p in probes if p.id in half}
            for half in (split.nomination, split.certification)
        ]
        assert not shown[0] & shown[1]
    assert split.images[1] - split.images[0] in (0, 1)
    assert halves(probes, seed) == split


def test_halves_are_random_and_not_every_second_image():
    probes = [probe(f"p{i:02}", f"c{i:02}") for i in range(48)]
    even = [
        set(halves(probes, seed).nomination) == {f"p{i:02}" for i in range(0, 48, 2)}
        for seed in range(9)
    ]
    assert not any(even)
    assert len({halves(probes, seed).nomination for seed in range(9)}) == 9


def test_a_split_that_shares_a_probe_is_refused():
    with pytest.raises(ValueError, match="share a probe"):
        Split(("a", "b"), ("b",), (2, 1))


def test_losses_by_hand():
    effects = [
        effect("a", [1.0, 3.0], [True, False]),
        effect("a", [2.0], [True]),
        effect("b", [0.0, 0.0, 0.0, 6.0], [True, True, False, False]),
    ]
    found = loss(effects, "kl", seed=0)
    assert (found.value, found.n) == (pytest.approx(12 / 7), 2)
    assert loss(effects, "disagreement", seed=0).value == pytest.approx(3 / 7)
    asked = [
        effect("a", [0.0], answer="No.", reference="yes"),
        effect("a", [0.0], answer="Yes, it is.", reference="yes"),
        effect("b", [0.0], base="It is blue", answer="A red one", reference="red one."),
        effect("c", [0.0], answer="No.", reference="Yes."),
    ]
    # Three were right before, and two of them are lost; what became right is no credit.
    lost = loss(asked, "accuracy", seed=0)
    assert (lost.value, lost.n) == (pytest.approx(2 / 3), 2)
    with pytest.raises(TraceError, match="answers none of these questions right"):
        loss([effect("b", [0.0], base="blue", answer="red", reference="red")], "accuracy", seed=0)
    assert (
        agreement(
            [effect("a", [0.0], answer=" Yes. "), effect("b", [0.0], answer="No.")], seed=0
        ).value
        == 0.5
    )
    with pytest.raises(TraceError, match="only replayed"):
        loss([effect("a", [0.0], reference="yes")], "accuracy", seed=0)
    with pytest.raises(ProbeError, match="needs an answer for every probe"):
        loss([effect("a", [0.0], answer="x")], "accuracy", seed=0)


def test_the_upper_bound_is_not_below_students():
    values = np.random.default_rng(0).exponential(1.0, 12)
    spread = upper_bound(cluster_mean(values, support=(0, math.inf), seed=0))
    t = values.mean() + stats.t.ppf(0.95, 11) * values.std(ddof=1) / np.sqrt(12)
    assert spread.high >= t - 1e-9
    assert spread.high <= 1.3 * t


def means(*rows):
    return [cluster_mean(row, support=(0, math.inf), seed=0) for row in rows]


def test_the_sequence_ends_with_the_first_size_that_fails():
    low, high = [0.1, 0.12, 0.09, 0.11, 0.1, 0.08], [0.9, 1.1, 1.0, 0.8, 1.2, 1.0]
    assert certified(means(low, low, high, low), 0.2) == 2
    assert certified(means(high, low), 0.2) == 0
    assert certified(means(low, low), 0.2) == 2
    assert certified([], 0.2) == 0
    # Fewer than five images certify nothing, however small the loss.
    assert certified(means(low[:4]), 1e9) == 0
    assert certified(means(low[:5]), 1e9) == 1


def test_one_candidate_a_size_is_the_cheapest_of_all_methods():
    one = Nomination("one", "", "", "", sets=((1,), (1, 2)))
    two = Nomination("two", "", "", "", sets=((3,), (3, 4), (2, 3, 4)))
    three = Nomination("three", "", "", "", sets=((3,),))
    losses = {(1,): 0.2, (3,): 0.2, (1, 2): 0.1, (3, 4): 0.4, (2, 3, 4): 9.0}
    found = candidates([one, two, three], losses)
    assert [c.blocks for c in found] == [(3,), (1, 2), (2, 3, 4)]
    assert [c.methods for c in found] == [("two", "three"), ("one",), ("two",)]
    assert candidates([], {}) == []


@pytest.mark.parametrize(("images", "lost"), [(6, 0.2), (12, 0.2), (24, 0.1), (24, 0.3)])
def test_lost_answers_are_certified_away_in_no_more_than_five_per_cent(images, lost):
    """Few flip, and in a small half often none: zero seen is no proof of zero."""
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(200):
        asked = [
            effect(f"{i}", [0.0], answer="No." if rng.random() < lost else "Yes.", reference="yes")
            for i in range(images)
        ]
        wrong += certified([loss(asked, "accuracy", seed=0)], 0.99 * lost)
    assert wrong <= 0.05 * 200 + 3


def test_a_wrong_set_is_certified_in_no_more_than_five_per_cent():
    """Simulated audits: true losses 0.5, 0.9, 1.1, 1.6 and a budget of 1: sizes 3 and 4 must not pass."""
    rng = np.random.default_rng(1)
    wrong, right = 0, 0
    for _ in range(300):
        image = rng.gamma(4.0, 0.25, 24)  # one image's losses go together
        rows = [m * (0.5 * image + 0.5 * rng.gamma(4.0, 0.25, 24)) for m in (0.5, 0.9, 1.1, 1.6)]
        passed = certified(
            [cluster_mean(r, support=(0, math.inf), seed=0, resamples=400) for r in rows], 1.0
        )
        wrong += passed > 2
        right += passed >= 1
    assert wrong <= 0.05 * 300 + 3
    assert right > 0.9 * 300
