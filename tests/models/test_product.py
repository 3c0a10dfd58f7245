"""The head's product against float64, on both of its ways."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.models import product
from lvlm_audit.models.product import HeadProduct, float32_products
from tests.effort import examples


def operands(rows: int, width: int, vocabulary: int, dtype: torch.dtype, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(rows, width, generator=generator) * 3
    weight = (torch.randn(vocabulary, width, generator=generator) * 0.2).to(dtype)
    return states, weight


def logits(states, weight, **how):
    out = torch.full((len(states), len(weight)), torch.nan)
    HeadProduct(weight, **how)(states, out)
    return out.double().numpy()


def exact(states, weight):
    return states.double().numpy() @ weight.double().numpy().T


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_it_is_a_float32_product_whatever_the_head(dtype) -> None:
    states, weight = operands(70, 96, 500, dtype)
    found = logits(states, weight, in_halves=False)
    np.testing.assert_allclose(found, exact(states, weight), atol=2e-5)


@pytest.mark.parametrize("shape", [(1, 16, 40), (70, 96, 500), (130, 576, 3000)])
def test_two_halves_keep_what_one_would_lose(shape) -> None:
    """Large enough shapes take the processor's own bfloat16 product, where it has one."""
    states, weight = operands(*shape, torch.bfloat16)
    wanted = exact(states, weight)
    scale = np.abs(wanted).max()
    assert np.abs(logits(states, weight, in_halves=True) - wanted).max() < 3e-5 * scale
    # One bfloat16 of a state is not enough: this is what the split is for.
    halved = exact(states.bfloat16().float(), weight)
    assert np.abs(halved - wanted).max() > 3e-4 * scale


@examples(25)
@given(st.integers(1, 40), st.integers(1, 48), st.integers(1, 300), st.booleans())
def test_both_ways_agree_on_any_shape(rows, width, vocabulary, sliced) -> None:
    states, weight = operands(rows, width, vocabulary, torch.bfloat16, seed=rows)
    with pytest.MonkeyPatch.context() as patch:
        if sliced:
            patch.setattr(product, "_SLICE_BYTES", 4 * width * 7)
        wanted = exact(states, weight)
        bound = 3e-5 * max(1.0, np.abs(wanted).max())
        for in_halves in (True, False):
            found = logits(states, weight, in_halves=in_halves)
            assert np.abs(found - wanted).max() < bound


@pytest.mark.parametrize("in_halves", [True, False])
def test_no_float32_copy_of_a_16_bit_head_is_kept(in_halves, monkeypatch) -> None:
    monkeypatch.setattr(product, "_SLICE_BYTES", 4 * 64 * 128)
    states, weight = operands(3, 64, 4096, torch.bfloat16)
    head = HeadProduct(weight, in_halves=in_halves)
    head(states, torch.empty(3, 4096))
    kept = [v for v in vars(head).values() if isinstance(v, torch.Tensor) and v is not weight]
    assert sum(v.nbytes for v in kept) <= 4 * 64 * 128
    assert head.weight is weight


def test_the_users_precision_settings_are_given_back() -> None:
    cuda, cpu = torch.backends.cuda.matmul, torch.backends.mkldnn.matmul
    before = cuda.fp32_precision, cpu.fp32_precision
    try:
        cuda.fp32_precision = "tf32"
        cpu.fp32_precision = "bf16"
        with float32_products("ieee"):
            assert (cuda.fp32_precision, cpu.fp32_precision) == ("ieee", "ieee")
        assert (cuda.fp32_precision, cpu.fp32_precision) == ("tf32", "bf16")
    finally:
        cuda.fp32_precision, cpu.fp32_precision = before


def test_a_users_shortcut_does_not_reach_the_product() -> None:
    states, weight = operands(128, 256, 2048, torch.float32)
    cpu = torch.backends.mkldnn.matmul
    before = cpu.fp32_precision
    try:
        cpu.fp32_precision = "bf16"
        found = logits(states, weight)
    finally:
        cpu.fp32_precision = before
    np.testing.assert_allclose(found, exact(states, weight), atol=5e-5)
