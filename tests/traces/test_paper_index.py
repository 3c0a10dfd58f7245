"""The published code's divergence: its check value, its laws, float64, and models of several families."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import log_softmax

from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.opening import hook
from lvlm_audit.traces.lens import LensReader
from lvlm_audit.traces.paper_index import paper_index
from lvlm_audit.traces.recorder import record, replay
from tests import paper_reference, tiny_models
from tests.effort import examples
from tests.traces.test_lens import anatomy, walk

logits = hnp.arrays(
    np.float32, st.tuples(st.just(3), st.integers(2, 40)), elements=st.floats(-60, 60, width=32)
)
FAMILIES = ("llava", "llava tied", "paligemma", "qwen2.5-vl", "idefics3", "internvl")


def seen(values: np.ndarray) -> np.ndarray:
    return paper_index(torch.from_numpy(np.ascontiguousarray(values))).numpy()


def test_the_check_value_of_the_method() -> None:
    p = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]]))
    assert seen(p)[0] == pytest.approx(0.110224, abs=5e-7)
    assert paper_reference.index(*np.exp(p)) == pytest.approx(0.110224, abs=5e-7)


def test_it_is_torchs_kl_div_averaged_over_words() -> None:
    y = torch.randn(6, 9000, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 4
    log_p = y.log_softmax(-1)
    m = (log_p[1:].exp() + log_p[:-1].exp()) / 2
    parts = [
        torch.nn.functional.kl_div(log_q, m, reduction="none").mean(-1)
        for log_q in (log_p[1:], log_p[:-1])
    ]
    expected = (parts[0] + parts[1]) / 2
    np.testing.assert_allclose(paper_index(y), expected, rtol=1e-9)
    np.testing.assert_allclose(paper_index(y.float()), expected, rtol=1e-5)


@given(logits)
@examples(60)
def test_laws(y: np.ndarray) -> None:
    found = seen(y)
    assert (found >= 0).all()
    assert np.isfinite(found).all()
    np.testing.assert_allclose(seen(y[::-1]), found[::-1], rtol=1e-5, atol=1e-12)
    np.testing.assert_array_equal(seen(np.stack([y[0], y[0]])), 0)
    # A constant added to all logits of a state changes no distribution.
    np.testing.assert_allclose(seen(y + np.float32(8)), found, rtol=1e-3, atol=1e-6)


@given(logits)
@examples(60)
def test_it_agrees_with_the_formula_in_float64(y: np.ndarray) -> None:
    p = np.exp(log_softmax(y.astype(np.float64), axis=-1))
    expected = [paper_reference.index(p[i], p[i + 1]) for i in range(2)]
    np.testing.assert_allclose(seen(y), expected, rtol=1e-4, atol=1e-6)


def test_it_has_no_upper_bound_of_one() -> None:
    # Each says with certainty what the other excludes: log cosh(200 / 2) on half of three words.
    y = np.array([[200.0, 0, 0], [0, 200.0, 0]], np.float32)
    assert seen(y)[0] == pytest.approx(2 * (100 - math.log(2)) / 2 / 3, rel=1e-6)


def test_a_probability_that_underflows_keeps_its_logarithm() -> None:
    # exp(-300) is 0 in float32 and not in float64, where the formula can be read as it stands.
    y = np.array([[0.0, -300, -2, -1], [-300, 0.0, -1, -2]], np.float32)
    assert np.exp(y[0, 1]) == 0
    p = np.exp(log_softmax(y.astype(np.float64), axis=-1))
    assert (p > 0).all()
    assert seen(y)[0] == pytest.approx(paper_reference.index(p[0], p[1]), rel=1e-6)


def test_a_word_that_is_masked_out_counts_nothing() -> None:
    y = np.array([[1.0, 2, -np.inf], [2.0, 1, -np.inf]], np.float32)
    assert seen(y)[0] == pytest.approx(seen(y[:, :2])[0] * 2 / 3, rel=1e-6)


def test_a_state_that_is_not_a_number_is_not_hidden() -> None:
    y = np.array([[1.0, 2], [np.nan, 1], [1, 2]], np.float32)
    assert np.isnan(seen(y)).all()


def test_nearly_equal_distributions_keep_their_digits() -> None:
    generator = np.random.default_rng(3)
    y = generator.normal(size=(1, 5000)) * 3
    y = np.concatenate([y, y + 1e-3 * generator.normal(size=y.shape)])
    p = np.exp(log_softmax(y, axis=-1))
    log_ratio = np.log(p[1] / p[0])
    # Second order: (p + q) log cosh(x / 2) is (p + q) x^2 / 8 for small x.
    expected = ((p[0] + p[1]) * log_ratio**2).sum() / 16 / 5000
    assert seen(y.astype(np.float32))[0] == pytest.approx(expected, rel=2e-3)


def test_the_lens_computes_it_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    made, states, ids = anatomy(), walk(3), torch.arange(3)
    asked = LensReader(made, "raw", paper_index=True).read(states, ids, ids + 1)
    monkeypatch.setattr("lvlm_audit.traces.lens.paper_index", None)
    plain = LensReader(made, "raw").read(states, ids, ids + 1)
    assert plain.paper_index.shape == (3, 0)
    assert asked.paper_index.shape == (3, 9)
    np.testing.assert_array_equal(asked.divergence, plain.divergence)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_raw_recording_shows_the_published_figures(family: str) -> None:
    hooked = hook(*tiny_models.FAMILIES[family]())
    (probe,) = tiny_models.probes(1)
    (trace,) = record(hooked, [probe], max_new_tokens=6, lens="raw", paper_index=True)
    expected = paper_reference.figures(hooked.model, hooked.inputs([probe]), 6)
    assert trace.token_ids.tolist() == expected.tokens
    assert trace.paper_index is not None
    np.testing.assert_allclose(trace.paper_index, expected.index, rtol=2e-3, atol=1e-8)
    for t, ids in enumerate(trace.candidate_ids):
        known = ids[ids >= 0]
        np.testing.assert_allclose(
            trace.candidate_probability[t, : len(known)],
            expected.probability[t][:, known].T,
            rtol=5e-3,
            atol=1e-5,
        )


def test_a_replay_records_it_as_a_generated_answer_does(llava: HookedModel) -> None:
    probes = tiny_models.probes(3)
    said = record(llava, probes, max_new_tokens=5, lens="raw", paper_index=True)
    texts = [trace.token_ids.tolist() for trace in said]
    again = replay(llava, probes, texts, lens="raw", paper_index=True)
    for a, b in zip(said, again, strict=True):
        assert a.paper_index is not None
        assert b.paper_index is not None
        np.testing.assert_allclose(a.paper_index, b.paper_index, rtol=5e-3, atol=1e-8)
    assert replay(llava, probes[:1], texts[:1])[0].paper_index is None


@pytest.fixture(scope="module")
def llava() -> HookedModel:
    return hook(*tiny_models.llava())
