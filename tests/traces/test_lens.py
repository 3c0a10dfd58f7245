"""The lens on states of a norm and head that were made up, against float64 references and its laws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax
from torch import Tensor, nn

from lvlm_audit.errors import UsageError
from lvlm_audit.models.anatomy import Anatomy
from lvlm_audit.models.readout import Readout
from lvlm_audit.traces.lens import CHUNK_BYTES, LensReader, Reading
from lvlm_audit.traces.reduction import nucleus, top
from tests import reference
from tests.effort import examples

L, D = 9, 16


def anatomy(
    vocabulary: int = 300,
    *,
    dtype: torch.dtype = torch.float32,
    bias: bool = False,
    scale: float = 1.0,
    cap: float | None = None,
    seed: int = 0,
) -> Anatomy:
    """A norm with a shape of its own and a head."""
    generator = torch.Generator().manual_seed(seed)
    head = nn.Linear(D, vocabulary, bias=bias)
    norm = nn.RMSNorm(D, eps=1e-5)
    with torch.no_grad():
        head.weight.copy_(torch.randn(vocabulary, D, generator=generator))
        norm.weight.copy_(1 + 0.4 * torch.randn(D, generator=generator))
    return Anatomy(
        blocks=tuple(nn.Identity() for _ in range(L)),
        norms=(norm.to(dtype),),
        head=head.to(dtype),
        width=D,
        logit_scale=scale,
        soft_cap=cap,
        tied=False,
    )


def walk(tokens: int, seed: int = 0, step: float = 0.7) -> Tensor:
    """[tokens, S, d] states that move less and less."""
    generator = torch.Generator().manual_seed(seed)
    moves = torch.randn(tokens, L + 1, D, generator=generator)
    return (moves * torch.linspace(2, step, L + 1)[:, None]).cumsum(1)


def read(made: Anatomy, states: Tensor, emitted: Tensor | None = None, **how: Any) -> Reading:
    """With ids 0, 1, 2 ... emitted and the next id as distractor."""
    n = len(states)
    emitted = torch.arange(n) if emitted is None else emitted
    return LensReader(made, **how).read(states, emitted, emitted + 1)


def expected(made: Anatomy, states: Tensor, *, raw: bool = False) -> np.ndarray:
    """[n, S, V] log-probabilities in float64, by the formulas."""
    x = states.double().numpy()
    weight = made.norms[0].weight.detach().double().numpy()  # type: ignore[operator, union-attr]
    normed = reference.rms_norm(x, weight, 1e-5)
    if raw:
        normed[:, :-1] = x[:, :-1]
    z = normed @ made.weight.detach().double().numpy().T
    if made.head.bias is not None:
        z = z + made.head.bias.detach().double().numpy()  # type: ignore[operator, union-attr]
    z = z * made.logit_scale
    if made.soft_cap is not None:
        z = made.soft_cap * np.tanh(z / made.soft_cap)
    return np.asarray(log_softmax(z, axis=-1))


@pytest.mark.parametrize("raw", [False, True], ids=["normed", "raw"])
@pytest.mark.parametrize(
    "what",
    [{}, {"bias": True}, {"scale": 0.25}, {"cap": 8.0}, {"cap": 9.0, "bias": True, "scale": 0.7}],
    ids=["plain", "bias", "scale", "soft-cap", "all"],
)
def test_every_number_agrees_with_scipy(raw: bool, what: dict[str, Any]) -> None:
    made = anatomy(**what)
    # Small enough that a soft-cap does not press float32 logits onto the same value.
    states = walk(5) * 0.1
    seen = read(made, states, name="raw" if raw else "normed")
    log_p = expected(made, states, raw=raw)
    for name, values in reference.curves(log_p, list(range(5))).items():
        np.testing.assert_allclose(getattr(seen, name), values, rtol=2e-4, atol=2e-5, err_msg=name)
    order = np.argsort(-log_p, axis=-1)[..., :5]
    np.testing.assert_array_equal(seen.top_ids, order)
    np.testing.assert_allclose(
        seen.top_probs, np.exp(np.take_along_axis(log_p, order, -1)), rtol=1e-4, atol=1e-7
    )
    np.testing.assert_allclose(
        seen.distractor, np.exp(log_p[np.arange(5), :, np.arange(1, 6)]), rtol=1e-4, atol=1e-7
    )


def test_kl_to_final_is_forward_and_zero_at_the_end() -> None:
    made, states = anatomy(), walk(3)
    p = np.exp(expected(made, states))
    seen = read(made, states)
    forward = (p[:, -1:] * np.log2(p[:, -1:] / p)).sum(-1)
    backward = (p * np.log2(p / p[:, -1:])).sum(-1)
    np.testing.assert_allclose(seen.kl_to_final, forward, rtol=1e-4, atol=1e-5)
    assert np.abs(forward - backward).max() > 0.1
    assert (seen.kl_to_final[:, -1] == 0).all()
    assert (seen.jsd_to_final[:, -1] == 0).all()


def test_candidates_are_the_leaders_in_order_of_first_lead() -> None:
    made, states = anatomy(), walk(4)
    seen = read(made, states)
    p = np.exp(expected(made, states))
    for i in range(4):
        leaders = list(dict.fromkeys(p[i].argmax(-1).tolist()))
        ids = seen.candidate_ids[i]
        assert ids[ids >= 0].tolist() == leaders
        assert (ids[len(leaders) :] == -1).all()
        np.testing.assert_allclose(
            seen.candidate_probability[i, : len(leaders)], p[i][:, leaders].T, rtol=1e-4, atol=1e-7
        )
        assert (seen.candidate_probability[i, len(leaders) :] == 0).all()


def test_a_token_without_distractor_has_nan() -> None:
    seen = LensReader(anatomy()).read(walk(2), torch.tensor([1, 2]), torch.tensor([-1, 5]))
    assert np.isnan(seen.distractor[0]).all()
    assert np.isfinite(seen.distractor[1]).all()


@given(st.integers(0, 10_000), st.floats(0.01, 3.0))
@examples(25)
def test_laws(seed: int, step: float) -> None:
    made = anatomy(vocabulary=128, seed=seed)
    seen = read(made, walk(3, seed, step))
    for name in ("probability", "divergence", "jsd_to_final", "nucleus_mass", "top_probs"):
        values = getattr(seen, name)
        assert (values >= 0).all(), name
        assert (values <= 1 + 1e-5).all(), name
    assert (seen.entropy >= 0).all()
    assert (seen.entropy <= 7 + 1e-4).all(), "log2 of 128 words"
    assert (seen.kl_to_final >= 0).all()
    assert ((seen.rank == 0) == (seen.top_ids[:, :, 0] == np.arange(3)[:, None])).all()
    # The nucleus holds its share at state L, or was cut to ten words.
    assert ((seen.nucleus_mass[:, -1] >= 0.9 - 1e-6) | (seen.top_probs[:, -1].sum(-1) < 0.9)).all()


@given(st.integers(0, 10_000))
@examples(15)
def test_equal_states_do_not_diverge(seed: int) -> None:
    states = walk(2, seed)
    states[:, 4] = states[:, 3]
    seen = read(anatomy(), states)
    assert (seen.divergence[:, 3] == 0).all()
    assert (seen.divergence[:, 2] > 0).all()


def test_nearly_equal_states_keep_their_digits() -> None:
    """A plateau of 1e-6 bits is neither lost in rounding nor invented by it."""
    made = anatomy(vocabulary=5000)
    states = walk(2)
    states[:, 5] = states[:, 4] + 2e-3 * torch.randn(
        2, D, generator=torch.Generator().manual_seed(3)
    )
    seen = read(made, states)
    p = np.exp(expected(made, states))
    exact = np.array([reference.jsd(p[i, 4], p[i, 5]) for i in range(2)])
    assert (exact < 1e-5).all()
    np.testing.assert_allclose(seen.divergence[:, 4], exact, rtol=5e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_16_bit_model_is_read_in_float32(dtype: torch.dtype) -> None:
    made, states = anatomy(dtype=dtype), walk(4).to(dtype)
    seen = read(made, states)
    # Weights and states are upcast; nothing in between is rounded to 16 bits.
    for name, values in reference.curves(expected(made, states), list(range(4))).items():
        np.testing.assert_allclose(getattr(seen, name), values, rtol=2e-4, atol=2e-5, err_msg=name)


def test_zero_probabilities_are_no_trouble() -> None:
    made = anatomy(scale=400.0)
    states = walk(3)
    seen = read(made, states)
    assert np.isfinite(seen.divergence).all()
    assert np.isfinite(seen.entropy).all()
    p = np.exp(expected(made, states))
    exact = [[reference.jsd(p[i, j], p[i, j + 1]) for j in range(L)] for i in range(3)]
    np.testing.assert_allclose(seen.divergence, exact, atol=1e-3)


def test_zeros_of_neighbours_that_the_last_state_does_not_share_are_no_trouble() -> None:
    # Unnormed states are loud, so most words get exactly zero in both of two neighbours; the last
    # state, which is normed, gives all of them something.
    made, states = anatomy(), walk(3) * 100
    ids = torch.arange(3)
    seen = LensReader(made, "raw").read(states, ids, ids + 1)
    p = np.exp(expected(made, states, raw=True))
    assert (p[:, 0] == 0).any()
    assert (p[:, -1] > 0).all()
    exact = [[reference.jsd(p[i, j], p[i, j + 1]) for j in range(L)] for i in range(3)]
    np.testing.assert_allclose(seen.divergence, exact, atol=1e-3)


def test_chunks_change_nothing() -> None:
    made, states = anatomy(), walk(7)
    whole = read(made, states)
    row = 4 * made.vocabulary * made.states
    one_by_one = read(made, states, chunk_bytes=1)
    threes = read(made, states, chunk_bytes=3 * row)
    for other in (one_by_one, threes):
        for name in ("top_ids", "candidate_ids"):
            np.testing.assert_array_equal(getattr(other, name), getattr(whole, name))
        for name in ("probability", "divergence", "entropy", "kl_to_final"):
            # A product of other rows may add up in another order: float32's, and no more.
            np.testing.assert_allclose(
                getattr(other, name), getattr(whole, name), rtol=1e-5, atol=1e-5
            )


def test_logits_never_outgrow_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tokens: only so many rows of logits at once, and always in the same memory."""
    made = anatomy(vocabulary=2000)
    lens = LensReader(made, chunk_bytes=2 * 4 * made.vocabulary * made.states)
    places, rows = set(), []
    original = Readout.logits

    def watched(self: Readout, states: Tensor, out: Tensor) -> Tensor:
        places.add(out.data_ptr())
        rows.append(len(out))
        return original(self, states, out)

    monkeypatch.setattr(Readout, "logits", watched)
    for tokens in (40, 3):
        ids = torch.zeros(tokens, dtype=torch.long)
        lens.read(walk(tokens), ids, ids)
    assert max(rows) <= 2 * made.states
    assert len(places) == 1


def test_the_default_chunk_is_bounded_for_any_vocabulary() -> None:
    assert CHUNK_BYTES <= 96 * 2**20
    assert LensReader(anatomy(), chunk_bytes=1).chunk_tokens == 1


def test_runs_are_read_together() -> None:
    made = anatomy()
    runs = [walk(5, seed) for seed in range(3)]
    emitted = torch.arange(5)
    divergence, log2 = LensReader(made).compare(runs, emitted)
    p, *others = (np.exp(expected(made, states)) for states in runs)
    exact = [
        [[reference.jsd(p[i, j], q[i, j]) for j in range(L + 1)] for i in range(5)] for q in others
    ]
    np.testing.assert_allclose(divergence, exact, rtol=1e-4, atol=1e-6)
    own = np.log2([[r[i, -1, i] for i in range(5)] for r in (p, *others)])
    np.testing.assert_allclose(log2, own, rtol=1e-4, atol=1e-5)
    # One token a chunk, and two runs at a time: the same numbers.
    small, _ = LensReader(made, chunk_bytes=1).compare(runs[::2], emitted)
    np.testing.assert_allclose(small[0], divergence[1], atol=1e-6)
    same, _ = LensReader(made).compare([runs[0], runs[0]], emitted)
    assert (same == 0).all()


@given(st.integers(0, 10_000), st.integers(1, 9), st.sampled_from([65, 300, 1281, 4096]))
@examples(40)
def test_top_by_blocks_is_topk(seed: int, k: int, vocabulary: int) -> None:
    rows = torch.randn(3, vocabulary, generator=torch.Generator().manual_seed(seed))
    values, ids = top(rows, k)
    exact = rows.topk(k, -1)
    assert torch.equal(values, exact.values)
    assert torch.equal(ids, exact.indices)


def test_the_nucleus_is_the_smallest_set_and_at_most_ten() -> None:
    assert sorted(nucleus(torch.tensor([0.05, 0.6, 0.3, 0.05])).tolist()) == [1, 2]
    assert nucleus(torch.tensor([0.0, 1.0])).tolist() == [1]
    assert len(nucleus(torch.full((50,), 0.02))) == 10


def test_an_unknown_lens_is_refused() -> None:
    with pytest.raises(UsageError, match="normed, raw"):
        LensReader(anatomy(), "tuned")


def test_a_word_that_the_model_masks_out_is_no_trouble() -> None:
    made = anatomy(bias=True)
    with torch.no_grad():
        made.head.bias[7] = -torch.inf  # type: ignore[index, operator]
    seen = read(made, walk(3))
    for name in ("divergence", "entropy", "kl_to_final", "jsd_to_final", "nucleus_mass"):
        assert np.isfinite(getattr(seen, name)).all(), name
