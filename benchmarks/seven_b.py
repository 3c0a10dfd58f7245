"""A model of LLaVA-1.5-7B's decoder shape, filled with noise: what the machine has to do, not what it means.

32 blocks, width 4096, 32,064 words, bfloat16: 13.5 GB. The vision tower is a token of one, because the
probes are text; a real one is run once per prompt and would only raise the cost of bare generation.
"""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
)

from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.probes.probe import Probe

VOCABULARY = 32_064


def model(blocks: int = 32) -> HookedModel:
    """Opened like any model: the readout is proved on the noise too."""
    config = LlavaConfig(
        text_config=LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=4096,
            intermediate_size=11_008,
            num_hidden_layers=blocks,
            num_attention_heads=32,
        ),
        vision_config=CLIPVisionConfig(
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=1,
            num_attention_heads=2,
            image_size=28,
            patch_size=14,
        ),
        vision_feature_layer=-1,
        image_token_index=VOCABULARY - 1,
    )
    with torch.device("meta"):
        empty = LlavaForConditionalGeneration(config).to(torch.bfloat16)
    made: Any = empty.to_empty(device="cpu")
    noise = torch.randn(2**22, generator=torch.Generator().manual_seed(0)).mul_(0.02).bfloat16()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            # Copied noise is quick to make, and as hard to multiply as fresh noise.
            flat = parameter.view(-1)
            for start in range(0, len(flat), len(noise)):
                part = flat[start : start + len(noise)]
                part.copy_(noise[: len(part)])
            if "norm" in name and name.endswith("weight"):
                parameter.fill_(1.0)
    _rotary(made)
    return HookedModel(made.eval(), _tokenizer(), name=f"noise of 7B shape ({blocks} blocks)")


def probes(count: int) -> list[Probe]:
    """Different prompts of equal length."""
    prompts = [" ".join(f"w{i + k}" for k in range(16)) for i in range(count)]
    return [Probe(f"p{i}", text, image=None, cluster=f"p{i}") for i, text in enumerate(prompts)]


def _tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(WordLevel({f"w{i}": i for i in range(VOCABULARY)}, unk_token="w0"))
    words.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="w0", eos_token="w1")


def _rotary(made: Any) -> None:
    """Buffers that are computed, not stored, are not filled by `to_empty`."""
    for module in made.modules():
        if hasattr(module, "inv_freq"):
            fresh = type(module)(module.config)
            module.inv_freq = fresh.inv_freq
            module.original_inv_freq = fresh.inv_freq
        if hasattr(module, "position_ids"):
            module.position_ids = torch.arange(module.position_ids.shape[-1])[None]
