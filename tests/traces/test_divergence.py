"""The lens' own divergences against SciPy in float64, against values by hand, and against their laws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy as scipy_entropy
from torch import Tensor

from lvlm_audit.traces.divergence import (
    LN2,
    PRECISE_BELOW,
    entropy,
    jensen_shannon,
    kullback_leibler,
    mixture_information,
)

P, Q = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.1, 0.2, 0.7])


def logits(spread: float = 6.0) -> st.SearchStrategy[Tensor]:
    """[2, V] of a small vocabulary."""
    return st.integers(0, 2**31).map(
        lambda seed: (
            (torch.randn(2, 40, generator=torch.Generator().manual_seed(seed)) * (seed % 7 + 0.1))
            * spread
            / 6
        )
    )


def test_the_check_value_of_the_method() -> None:
    assert float(jensen_shannon(P, Q)) == pytest.approx(0.3651484, abs=1e-6)


def test_kl_is_forward() -> None:
    p = torch.tensor([0.5, 0.5, 1e-9])
    q = torch.tensor([0.25, 0.25, 0.5])
    # KL(p || q) = log2(2) = 1 bit; the reverse is about 13 bits.
    assert float(kullback_leibler(p.log(), q.log())) == pytest.approx(1.0, abs=1e-5)
    assert float(kullback_leibler(q.log(), p.log())) > 10


def test_disjoint_distributions_are_one_bit_apart() -> None:
    one, two = torch.eye(2)
    assert float(jensen_shannon(one, two)) == 1.0


@given(logits())
@settings(max_examples=60, deadline=None)
def test_jensen_shannon_agrees_with_scipy_and_keeps_its_laws(z: Tensor) -> None:
    p, q = z.softmax(-1)
    here = float(jensen_shannon(p, q))
    there = jensenshannon(p.double().numpy(), q.double().numpy(), base=2) ** 2
    assert here == pytest.approx(there, rel=1e-4, abs=1e-7)
    assert 0.0 <= here <= 1.0
    assert here == pytest.approx(float(jensen_shannon(q, p)), abs=1e-6)
    assert float(jensen_shannon(p, p)) == 0.0


@pytest.mark.parametrize("step", [1e-3, 1e-2, 1e-1])
@pytest.mark.parametrize("vocabulary", [50, 30_000])
def test_small_divergences_keep_their_digits(step: float, vocabulary: int) -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(vocabulary, generator=generator)
    w = z + step * torch.randn(vocabulary, generator=generator)
    exact = (
        jensenshannon(z.double().softmax(-1).numpy(), w.double().softmax(-1).numpy(), base=2) ** 2
    )
    assert float(jensen_shannon(z.softmax(-1), w.softmax(-1))) == pytest.approx(exact, rel=1e-3)


@given(logits())
@settings(max_examples=40, deadline=None)
def test_the_quick_form_is_as_good_where_it_is_used(z: Tensor) -> None:
    p, q = z.softmax(-1)
    own = sum(float((x * x.log()).nan_to_num(0.0).sum()) for x in (p, q))
    p, q = p.clamp_min(1e-37), q.clamp_min(1e-37)
    both = float(mixture_information(p, q, torch.empty(40), torch.empty(40), torch.empty(())))
    quick = (own - both) / (2 * LN2) + 1
    accurate = float(jensen_shannon(p, q))
    if quick >= PRECISE_BELOW:
        assert quick == pytest.approx(accurate, rel=1e-3)
    else:
        assert abs(quick - accurate) < 3e-6


@given(logits())
@settings(max_examples=40, deadline=None)
def test_kl_and_entropy_agree_with_scipy(z: Tensor) -> None:
    log_p, log_q = z.log_softmax(-1)
    p, q = (np.exp(x.double().numpy()) for x in (log_p, log_q))
    assert float(kullback_leibler(log_p, log_q)) == pytest.approx(
        scipy_entropy(p, q, base=2), rel=1e-4, abs=1e-5
    )
    assert float(entropy(log_p)) == pytest.approx(scipy_entropy(p, base=2), rel=1e-4, abs=1e-5)
