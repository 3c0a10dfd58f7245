"""Metrics of the first two levels, against plain loops over distributions that were drawn."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy

import lvlm_audit
from lvlm_audit import Check, Stage, at_least, at_most
from lvlm_audit.errors import CheckError, TraceError
from lvlm_audit.metrics.curves import Metric
from lvlm_audit.metrics.nodes import candidates_from
from lvlm_audit.properties import Holds, Kept, Plateau, Rise, Value
from lvlm_audit.spec.suite import Suite
from lvlm_audit.traces.trace import Trace
from tests import reference
from tests.effort import examples
from tests.synthetic import EARLY, EMITTED, OTHER, rising, trace

V, T, L = 12, 3, 9


def drawn(seed: int, kept: int = 4) -> tuple[np.ndarray, Trace]:
    """Distributions [T, S, V] and the trace that a capture of them would be."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(V, 0.4), size=(T, L + 1))
    said = p[:, -1].argmax(-1)
    order = np.argsort(-p, axis=-1, kind="stable")
    curves = reference.curves(np.log(np.maximum(p, 1e-300)), said.tolist())
    ids = np.tile(np.arange(V), (T, 1))
    made = trace(rising(L), tokens=T)
    return p, dataclasses.replace(
        made,
        token_ids=said,
        top_ids=np.ascontiguousarray(order[..., :kept]),
        top_probs=np.take_along_axis(p, order[..., :kept], -1).astype(np.float32),
        candidate_ids=ids,
        candidate_probability=np.ascontiguousarray(p.transpose(0, 2, 1), dtype=np.float32),
        **{name: np.asarray(v, np.float32) for name, v in curves.items() if name != "rank"},
        rank=curves["rank"].astype(np.int32),
    )


@given(st.integers(0, 10_000))
@examples(20)
def test_curves_of_probabilities(seed: int) -> None:
    p, seen = drawn(seed)
    for t in range(T):
        said = int(p[t, -1].argmax())
        for j in range(L + 1):
            ranked = sorted(p[t, j], reverse=True)
            others = [p[t, j, v] for v in range(V) if v != said]
            expected = {
                "leader_probability": ranked[0],
                "lead_margin": ranked[0] - ranked[1],
                "rival_probability": max(others),
                "emitted_margin": p[t, j, said] - max(others),
                "token_rank": sum(v > p[t, j, said] for v in others),
                "entropy": scipy_entropy(p[t, j], base=2),
                "jsd_to_final": reference.jsd(p[t, j], p[t, -1]),
                "kl_to_final": scipy_entropy(p[t, -1], p[t, j], base=2),
            }
            for name, value in expected.items():
                found = getattr(lvlm_audit.metrics, name).curve(seen)
                assert found.shape == (T, L + 1)
                assert found[t, j] == pytest.approx(value, rel=1e-4, abs=1e-5), name


@given(st.integers(0, 10_000))
@examples(20)
def test_leaders_that_change(seed: int) -> None:
    p, seen = drawn(seed)
    changes = lvlm_audit.metrics.leader_changes.curve(seen)
    churn = lvlm_audit.metrics.leader_switches.curve(seen)
    depth = lvlm_audit.metrics.saturation_depth.curve(seen)
    assert changes.shape == (T, L)
    assert churn.shape == depth.shape == (T, 1)
    for t in range(T):
        leaders = [int(row.argmax()) for row in p[t]]
        pairs = list(itertools.pairwise(leaders))
        assert changes[t].tolist() == [a != b for a, b in pairs]
        assert churn[t, 0] == sum(a != b for a, b in pairs)
        last = max((i + 1 for i, (a, b) in enumerate(pairs) if a != b), default=0)
        assert math.isnan(depth[t, 0]) if last == L else depth[t, 0] == last / L


@given(st.integers(0, 10_000))
@examples(20)
def test_depths_of_nodes(seed: int) -> None:
    _, seen = drawn(seed)
    for name, share in (("onset_depth", 0.1), ("critical_depth", 0.5), ("settle_depth", 0.9)):
        found = getattr(lvlm_audit.metrics, name).curve(seen)
        for t in range(T):
            mass = seen.nucleus_mass[t]
            stays = [j for j in range(L + 1) if (mass[j:] >= share * mass.max()).all()]
            if mass.max() < 0.2 or not stays:
                assert math.isnan(found[t, 0])
            else:
                assert found[t, 0] == pytest.approx(min(stays) / L)


def test_a_capture_that_kept_the_leader_alone_has_no_margin() -> None:
    _, seen = drawn(1, kept=1)
    assert np.isnan(lvlm_audit.metrics.lead_margin.curve(seen)).all()
    leads = seen.leader == seen.token_ids[:, None]
    np.testing.assert_array_equal(np.isnan(lvlm_audit.metrics.emitted_margin.curve(seen)), leads)


def test_the_distractor_is_the_traces_own() -> None:
    one = trace(rising(L), distractor=0.125)
    assert (lvlm_audit.metrics.distractor_probability.curve(one) == 0.125).all()


class TestCandidates:
    def test_are_the_leaders_from_a_state_on(self) -> None:
        leader = [EARLY] * 3 + [OTHER] * 2 + [EMITTED] * 3
        one = trace([0.1] * 8, leader=leader, tokens=1)
        assert one.candidate_ids[0].tolist() == [EMITTED, EARLY, OTHER]
        for state, known in ((0, [1, 1, 1]), (2, [1, 1, 1]), (3, [1, 0, 1]), (5, [1, 0, 0])):
            assert candidates_from(one.leader, one.candidate_ids, state)[0].tolist() == known

    def test_a_pad_is_none(self) -> None:
        leader, ids = np.array([[4, 5, 5]]), np.array([[4, 5, -1]])
        assert candidates_from(leader, ids, 0).tolist() == [[True, True, False]]


METRICS = [
    name
    for name in lvlm_audit.metrics.__all__
    if isinstance(getattr(lvlm_audit.metrics, name), Metric)
]


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_of_answers_can_be_checked_and_stays_in_its_support(name: str) -> None:
    metric = getattr(lvlm_audit.metrics, name)
    if metric.needs != "answers":
        return
    answers = [
        trace(rising(L, 4), name=f"p{i}", paper_index=[1e-3] * L, reference="It is blue.")
        for i in range(8)
    ]
    values = metric.curve(answers[0])
    low, high = metric.support
    known = values[~np.isnan(values)]
    # Of a metric that reads labels, a trace without any has no value.
    assert known.size or metric.truth
    assert ((known >= low) & (known <= high)).all()
    check = Check(
        "It can be judged.",
        stage=Stage.WHOLE_ANSWER,
        metric=metric,
        property=Holds() if metric.whole else Value(),
        holds_for=at_most(0.9, of="answers") if metric.whole else at_most(1e6, of="mean"),
        rationale="A test.",
        name="one",
    )
    audit = lvlm_audit.run(Suite("t", (check,)), answers)
    (finding,) = audit.findings
    if known.size:
        assert finding.observed == pytest.approx(float(np.median(values[:, -1])))
    else:
        assert finding.observed is None
        assert metric.nothing in finding.message
    assert finding.bound.unit == ("share of answers" if metric.whole else metric.unit)


class TestThePaperIndexHasAnAxisOfItsOwn:
    GOOD: ClassVar[dict[str, Any]] = {
        "statement": "It stays low.",
        "stage": Stage.STABILIZATION,
        "metric": lvlm_audit.metrics.paper_index,
        "rationale": "A test.",
    }

    @pytest.mark.parametrize("property", [Plateau(0.1), Kept(), Rise()])
    def test_no_bound_in_bits_or_probability_is_held_against_it(self, property: Any) -> None:
        with pytest.raises(CheckError, match=r"'paper index .*' is in nats per vocabulary entry"):
            Check(**self.GOOD, property=property, holds_for=at_least(0.5, of="images"))

    def test_a_bound_in_its_own_unit_is(self) -> None:
        check = Check(**self.GOOD, property=Value(), holds_for=at_most(1e-5, of="mean"))
        assert check.unit == "nats per vocabulary entry"

    def test_a_plateau_of_something_else_than_bits_is_refused_too(self) -> None:
        fields = {**self.GOOD, "metric": lvlm_audit.metrics.token_probability}
        with pytest.raises(CheckError, match="Plateau holds its bounds against bits"):
            Check(**fields, property=Plateau(), holds_for=at_least(0.5, of="images"))

    def test_traces_without_it_are_refused_with_what_to_do(self) -> None:
        with pytest.raises(TraceError, match=r"record\(..., paper_index=True\)"):
            lvlm_audit.metrics.paper_index.curve(trace(rising(L)))
