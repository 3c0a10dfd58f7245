"""Builds the demo's LLaVA around a decoder, and the parts that are its own."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PretrainedConfig,
    PreTrainedModel,
)

from lvlm_audit.demo.recipe import IMAGE_TOKEN_ID, TowerShape

#: Prefixes of the adapter's tensors in a LLaVA checkpoint; everything else is the decoder's.
TOWER_PREFIX = "model.vision_tower."
PROJECTOR_PREFIX = "model.multi_modal_projector."


def vision_config(shape: TowerShape) -> CLIPVisionConfig:
    """The CLIP vision configuration of a tower's shape."""
    return CLIPVisionConfig(
        hidden_size=shape.width,
        intermediate_size=shape.mlp_width,
        num_hidden_layers=shape.blocks,
        num_attention_heads=shape.heads,
        image_size=shape.image_size,
        patch_size=shape.patch_size,
        hidden_act="gelu",
    )


def llava_config(decoder: PretrainedConfig, vision: CLIPVisionConfig) -> LlavaConfig:
    """The LLaVA configuration that joins a decoder's with a tower's."""
    # transformers types both as an int or a pair; ours are ints (`TowerShape`).
    side, patch = cast(int, vision.image_size), cast(int, vision.patch_size)
    return LlavaConfig(
        vision_config=vision,
        text_config=decoder,
        image_token_index=IMAGE_TOKEN_ID,
        image_seq_length=(side // patch) ** 2,
        projector_hidden_act="gelu",
        vision_feature_select_strategy="default",
        vision_feature_layer=-1,
        tie_word_embeddings=bool(decoder.tie_word_embeddings),
    )


def join(decoder: PreTrainedModel, adapter: dict[str, Tensor], vision: CLIPVisionConfig) -> Any:
    """Joins a causal decoder and an adapter to one LLaVA model.

    Args:
        decoder: A causal language model of the Llama family.
        adapter: Tensors named as in the joined checkpoint (tower and projector).
        vision: Shape of the tower in `adapter`.

    Returns:
        A `LlavaForConditionalGeneration` in the decoder's dtype, in evaluation mode.

    Raises:
        ValueError: If the adapter's tensors are not exactly those that the model needs.
    """
    config = llava_config(decoder.config, vision)
    config.dtype = decoder.dtype
    with torch.device("meta"):
        model = LlavaForConditionalGeneration(config)
    wanted = {n for n in model.state_dict() if n.startswith((TOWER_PREFIX, PROJECTOR_PREFIX))}
    if wanted != set(adapter):
        missing, extra = sorted(wanted - set(adapter)), sorted(set(adapter) - wanted)
        raise ValueError(
            f"the adapter does not fit the model: {len(missing)} tensors missing {missing[:3]}, "
            f"{len(extra)} not wanted {extra[:3]}"
        )
    joined: Any = LlavaForConditionalGeneration(config)
    joined.to(decoder.dtype)
    joined.model.language_model.load_state_dict(decoder.base_model.state_dict())
    joined.lm_head.load_state_dict(decoder.get_output_embeddings().state_dict())
    joined.load_state_dict({n: t.to(decoder.dtype) for n, t in adapter.items()}, strict=False)
    joined.tie_weights()
    return joined.eval()


class Adapter(nn.Module):
    """The trained parts: CLIP tower and LLaVA projector, under their checkpoint names."""

    def __init__(self, shape: TowerShape, decoder_width: int) -> None:
        super().__init__()
        config = vision_config(shape)
        # On CPU the fused attention's backward in bfloat16 is several times slower than this.
        config._attn_implementation = "eager"
        self.tower = CLIPVisionModel(config)
        self.projector = Projector(shape.width, decoder_width)

    def checkpoint(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """Tensors by their names in a LLaVA checkpoint."""
        named = {TOWER_PREFIX + name: t for name, t in self.tower.state_dict().items()}
        named |= {PROJECTOR_PREFIX + name: t for name, t in self.projector.state_dict().items()}
        return {name: t.detach().to(dtype).contiguous() for name, t in named.items()}

    def load_checkpoint(self, tensors: dict[str, Tensor]) -> None:
        """Inverse of `checkpoint`."""
        for module, prefix in ((self.tower, TOWER_PREFIX), (self.projector, PROJECTOR_PREFIX)):
            cut = len(prefix)
            module.load_state_dict({n[cut:]: t for n, t in tensors.items() if n.startswith(prefix)})


class Projector(nn.Module):
    """LLaVA's two-layer projector (same names and arithmetic as transformers')."""

    def __init__(self, width: int, decoder_width: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(width, decoder_width)
        self.act = nn.GELU()
        self.linear_2 = nn.Linear(decoder_width, decoder_width)

    def forward(self, patches: Tensor) -> Tensor:
        """(..., width) -> (..., decoder width)."""
        projected: Tensor = self.linear_2(self.act(self.linear_1(patches)))
        return projected

    @torch.no_grad()
    def scale_to(self, patches: Tensor, embeddings: Tensor) -> None:
        """Scales both layers so that outputs are as large as the decoder's embeddings.

        An image token a hundred times larger than a word would drown the words in the residual
        stream before training has begun.

        Args:
            patches: A sample of tower outputs, (n, width).
            embeddings: The decoder's embedding matrix, (tokens, decoder width).
        """
        self.linear_1.weight.div_(self.linear_1(patches).std() + 1e-6)
        wanted = embeddings.float().norm(dim=-1).mean() / math.sqrt(embeddings.shape[-1])
        scale = wanted / (self(patches).std() + 1e-6)
        self.linear_2.weight.mul_(scale)
        self.linear_2.bias.mul_(scale)
