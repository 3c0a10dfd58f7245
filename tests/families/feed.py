"""Inputs made by hand: what each family's forward pass takes for one image and a few words."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.families.shrink import SIDE, WIDTH

WORDS = (21, 34, 55, 89, 144, 233)
"""Ids of ordinary tokens."""


def words(count: int = len(WORDS)) -> Tensor:
    return torch.tensor([WORDS[:count]])


def picture(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(5))


def text() -> dict[str, Any]:
    """Words alone."""
    return {"input_ids": words()}


def _patches(**more: Any) -> dict[str, Any]:
    return {"pixel_values": picture(16, 3 * 64), **more}


def _strip(**more: Any) -> dict[str, Any]:
    """16 patches side by side."""
    return {"pixel_values": picture(1, 3, 8, 128), "target_sizes": torch.tensor([[4, 4]]), **more}


_GRID = torch.tensor([[1, 4, 4]])
_PLACES = torch.tensor([[[x, y] for y in range(4) for x in range(4)]])
_ONE = {"pixel_values": picture(1, 1, 3, SIDE, SIDE)}
_TILES = {"pixel_values": picture(1, 2, 3, SIDE, SIDE), "image_sizes": torch.tensor([[SIDE, SIDE]])}
_SQUARES = {"pixel_values": picture(16, 3, 8, 8), "image_grid_thw": _GRID}

_SQUARE = picture(1, 3, SIDE, SIDE)
_START = torch.tensor([[0]])
_FLAT = torch.cat([_PLACES + 1, picture(1, 16, WIDTH)], -1)

IMAGES: dict[str, dict[str, Any]] = {
    "deepseek_vl_hybrid": {"pixel_values": _SQUARE, "high_res_pixel_values": _SQUARE},
    "fuyu": {"pixel_values": picture(1, 16, 192)},
    "gemma4": {"pixel_values": picture(1, 16, 192), "image_position_ids": _PLACES},
    "gemma4_unified": {"pixel_values": picture(1, 16, 192), "image_position_ids": _PLACES},
    "granite4_vision": _TILES,
    "granite_docling": {**_ONE, "pixel_attention_mask": torch.ones(1, 1, dtype=torch.bool)},
    "idefics2": _ONE, "idefics3": _ONE, "smolvlm": _ONE,
    "inkling_mm_model": {"pixel_values": picture(4, 2, 8, 8, 3)},
    "inkling2": {"pixel_values": picture(4, 16, 16, 3), "image_grid_thw": torch.tensor([[1, 2, 2]])},
    "kimi_k25": _SQUARES,
    "lfm2_vl": {"pixel_values": picture(1, 16, 192), "spatial_shapes": torch.tensor([[4, 4]]),
                "pixel_attention_mask": torch.ones(1, 16, dtype=torch.long)},
    "llava_next": _TILES, "llava_next_video": _TILES, "llava_onevision": _TILES,
    "minicpm_ocr": _strip(), "minicpmv4_6": _strip(), "minicpmv4_7": _strip(),
    "molmo2": {"pixel_values": picture(1, 16, 192), "image_grids": torch.tensor([[2, 2, 0, 0]]),
               "image_token_pooling": torch.arange(16).view(4, 4)},
    "nemotron_h_omni": _patches(image_grid_hw=torch.tensor([[4, 4]])),
    "paddleocr_vl": _SQUARES,
    "video_llama_3": _patches(image_grid_thw=_GRID, image_merge_sizes=torch.tensor([2])),
    "instructblip": {"pixel_values": _SQUARE, "qformer_input_ids": words(3)},
}  # fmt: skip
"""Images that are not one square of pixels or one list of patches."""

_FIVE = torch.cat([words(1), torch.full((1, 4), 300), words(5)], 1)
_SLOTS = torch.tensor([[0, 1, 1, 1, 1, 0, 0, 0, 0, 0]])

WHOLE: dict[str, dict[str, Any]] = {
    "blip": {"pixel_values": _SQUARE, "input_ids": words()},
    "git": {"pixel_values": _SQUARE, "input_ids": words()},
    "idefics": {"pixel_values": _ONE["pixel_values"], "input_ids": words(),
                "image_attention_mask": torch.ones(1, 6, 1, dtype=torch.long)},
    "instructblipvideo": {
        "pixel_values": picture(1, 4, 3, SIDE, SIDE), "qformer_input_ids": words(3),
        "input_ids": torch.cat([torch.full((1, 16), 300), words()], 1)},
    "kosmos-2": {
        "pixel_values": _SQUARE, "input_ids": _FIVE, "image_embeds_position_mask": _SLOTS},
    "kosmos-2.5": {
        "flattened_patches": _FLAT, "input_ids": _FIVE, "image_embeds_position_mask": _SLOTS},
    "mllama": {"pixel_values": picture(1, 1, 4, 3, SIDE, SIDE), "input_ids": words(),
               "aspect_ratio_ids": torch.tensor([[1]]), "aspect_ratio_mask": torch.tensor([[[1, 0, 0, 0]]]),
               "cross_attention_mask": torch.tensor([1, 0, 0, 0]).expand(1, 6, 1, 4)},
    "pix2struct": {"flattened_patches": _FLAT, "decoder_input_ids": _START},
    "pp_formulanet": {"pixel_values": _SQUARE, "decoder_input_ids": _START},
    "udop": {"pixel_values": _SQUARE, "input_ids": words(), "bbox": picture(1, 6, 4).sigmoid(),
             "attention_mask": torch.ones(1, 6, dtype=torch.long)},
    "vision-encoder-decoder": {"pixel_values": _SQUARE, "decoder_input_ids": _START},
}  # fmt: skip
"""Families that take an image without image tokens in the prompt, or no prompt at all."""

TEXT_ONLY = {
    "deepseek_vl_hybrid": "words; its second image tower takes images of 1024 pixels",
    "diffusion_gemma": "words",
    "evolla": "words; it takes proteins, not images",
    "fast_vlm": "words; its image tower needs timm and torchvision",
    "gemma3n": "words; its image tower needs timm and torchvision",
    "mistral4": "words; transformers maps its text decoder alone",
    "perception_lm": "words; its image tower needs timm and torchvision",
    "pi0": "words",
}
"""Families that are fed words alone here, and why."""


def inputs(name: str, model: Any) -> dict[str, Any]:
    """One prompt for a family, as `generate()` takes it."""
    if name in TEXT_ONLY:
        return text()
    return dict(WHOLE.get(name, {})) or image_and_text(name, model)


def image_and_text(name: str, model: Any) -> dict[str, Any]:
    """An image as this model's `get_image_features` takes it, and as many image tokens as it gives."""
    owner = model if hasattr(model, "get_image_features") else model.model
    asked = inspect.signature(owner.get_image_features).parameters
    made = dict(IMAGES.get(name, {})) or _image(model, asked)
    cast = {
        key: value.to(model.dtype) if value.is_floating_point() else value
        for key, value in made.items()
    }
    with torch.inference_mode():
        features = owner.get_image_features(**cast)
    if name == "granite4_vision":
        features = features.deepstack_features[0][1]
    count = sum(part.shape[:-1].numel() for part in _parts(features))
    image = image_token(model.config)
    made["input_ids"] = torch.tensor([[WORDS[0], *[image] * count, *WORDS[1:]]])
    taken = inspect.signature(model.forward).parameters
    for kinds in ("mm_token_type_ids", "token_type_ids"):
        if kinds in taken:
            made[kinds] = (made["input_ids"] == image).long()
    return made


def _image(model: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    vision = getattr(model.config, "vision_config", None)
    if "image_grid_thw" in asked:
        channels = getattr(vision, "in_channels", getattr(vision, "num_channels", 3)) or 3
        frames = getattr(vision, "temporal_patch_size", getattr(vision, "patch_temporal", 1)) or 1
        values = picture(16, channels * frames * vision.patch_size**2)
        return {"pixel_values": values, "image_grid_thw": _GRID}
    made: dict[str, Any] = {"pixel_values": picture(1, 3, SIDE, SIDE)}
    if "image_sizes" in asked:
        made["image_sizes"] = torch.tensor([[SIDE, SIDE]])
    return made


def _parts(features: Any) -> list[Tensor]:
    pooled = getattr(features, "pooler_output", features)
    features = features.last_hidden_state if pooled is None else pooled
    if isinstance(features, Tensor):
        return [features]
    return [part for inner in features for part in _parts(inner)]


def image_token(config: Any) -> int:
    """The id that stands for an image position in a prompt."""
    keys = ("image_token_id", "image_token_index", "image_patch_id")
    found = [v for key in keys if isinstance(v := getattr(config, key, None), int)]
    return found[0]
