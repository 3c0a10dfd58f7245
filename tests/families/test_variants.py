"""Families in other clothes: another decoder inside, another dtype, no image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lvlm_audit import Probe, hook, record
from tests.families import feed
from tests.families.matrix import FAMILIES
from tests.families.zoo import configuration, drawn, made, model_types
from tests.tiny_models import lively

T5 = {
    "model_type": "t5", "d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 4, "num_heads": 4,
    "num_decoder_layers": 4, "vocab_size": 512, "decoder_start_token_id": 0, "tie_word_embeddings": False,
}  # fmt: skip


@pytest.mark.parametrize("name", ["blip-2", "instructblip"])
def test_an_encoder_decoder_inside_is_noticed(name: str) -> None:
    """Their own configurations may not say so: the language model's does."""
    settings = {**configuration(name).to_dict(), "text_config": T5}
    settings["use_decoder_only_language_model"] = False
    model = lively(made(name, settings), gain=2.0)
    inputs = feed.inputs(name, model)
    own = model.generate(
        **inputs,
        do_sample=False,
        max_new_tokens=4,
        output_logits=True,
        return_dict_in_generate=True,
    )
    with FAMILIES.opened(name, model) as hooked:
        assert hooked.anatomy.encoder_decoder
        assert hooked.blocks == 4
        trace = record(hooked, [Probe.prepared(inputs)], max_new_tokens=4)[0]
    steps = len(trace.token_ids)
    assert trace.token_ids.tolist() == own.sequences[0, -steps:].tolist()
    theirs = torch.stack([step[0] for step in own.logits]).softmax(-1).max(-1).values
    np.testing.assert_allclose(trace.top_probs[:, -1, 0], theirs, rtol=1e-3)


def test_blocks_that_an_image_needs_are_left_out_without_one() -> None:
    model = drawn("mllama")
    crossing = model.config.text_config.cross_attention_layers
    with hook(model) as hooked:
        assert hooked.proofs[0].asked == "text"
        assert hooked.proofs[0].state_difference is not None
        probe = Probe.prepared(feed.text())
        trace = record(hooked, [probe], max_new_tokens=3, keep_features=True)[0]
    assert trace.features is not None
    for j in range(hooked.blocks - 1):
        unchanged = np.array_equal(trace.features[:, j], trace.features[:, j + 1])
        assert unchanged == (j in crossing)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "name", ["chameleon", "gemma3n", "glm5_next", "inkling_mm_model", "qwen3_vl", "t5gemma2"]
)
def test_unusual_decoders_are_found_alike_in_16_bits(name: str, dtype: torch.dtype) -> None:
    if name not in model_types():
        pytest.skip(f"this transformers has no {name}")
    whole = drawn(name)
    expected = FAMILIES.row_of(name, FAMILIES.opened(name, whole))
    half = whole.to(dtype)
    found = FAMILIES.row_of(name, FAMILIES.opened(name, half))
    assert found.cells[1] == expected.cells[1]
    assert found.proof == expected.proof
