"""The zoo: what each family needs beside the generic shrinking, and its tiny model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from unittest import mock

import torch

from tests.families.shrink import SIDE, WIDTH, shrunk
from tests.tiny_models import lively

_VQ = {"embed_dim": 8, "num_embeddings": 16, "codebook_size": 16, "latent_channels": 8,
       "base_channels": 32, "channel_multiplier": [1, 2], "num_res_blocks": 1}  # fmt: skip
_SIGLIP = {"model_type": "siglip_vision_model", "hidden_size": WIDTH, "intermediate_size": 96,
           "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": SIDE, "patch_size": 8}  # fmt: skip

_SECTIONS = {"text_config": {"rope_parameters": {"mrope_section": [4, 2, 2]}}}
_START = {"decoder_start_token_id": 0, "pad_token_id": 2, "bos_token_id": 0, "eos_token_id": 1}
_TILES = {"image_grid_pinpoints": [[SIDE, SIDE]], "image_seq_length": 16}


def _letters(code: int) -> str:
    """Chameleon writes the digits of an image code as letters."""
    return "".join(chr(ord("A") + int(digit)) for digit in str(code))


SETTINGS: dict[str, dict[str, Any]] = {
    "aria": {"projector_patch_to_query_dict": {16: 4}, "max_value_projector_patch_to_query_dict": 4},
    "blip-2": {"image_token_index": 300},
    "instructblip": {"image_token_index": 300},
    "instructblipvideo": {"image_token_index": 300, "video_token_index": 300},
    "chameleon": {"image_token_id": 300, "vq_config": _VQ, "vocabulary_map": {
        "<image>": 300, **{f"IMGIMG{_letters(i)}Z": 301 + i for i in range(16)}}},
    "cohere_compass": {"text_config": {"rope_parameters": {"full_attention": {
        "rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]}}}},
    "deepseek_ocr2": {"vision_config": {"sam_config": {"downsample_channels": [32, WIDTH]}}, "text_config": {
        "mlp_layer_types": ["dense", "sparse", "dense", "sparse"], "num_experts_per_tok": 2}},
    "diffusion_gemma": {"text_config": {
        "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 32,
        "num_global_key_value_heads": 2}},
    "dots3_note": {
        "vision_config": {"adapter_in_dim": WIDTH, "adapter_out_dim": WIDTH},
        "audio_config": {"adapter_input_size": WIDTH, "adapter_out_dim": WIDTH}},
    "emu3": {
        "image_token_id": 300,
        "vq_config": {**_VQ, "hidden_size": WIDTH, "temporal_downsample_factor": 1},
        "vocabulary_map": {"<image>": 300, "<|extra_200|>": 299, **{
            f"<|visual token {i:06d}|>": 301 + i for i in range(16)}}},
    "ernie4_5_vl_moe": {"text_config": {
        "moe_intermediate_size": [64, 32], "rope_parameters": {"mrope_section": [3, 3, 2]}}},
    "fast_vlm": {"vision_config": _SIGLIP},
    "florence2": {"vision_config": {
        "depths": [1, 1], "patch_size": [7, 3], "patch_stride": [4, 2], "patch_padding": [3, 1],
        "patch_prenorm": [False, True], "embed_dim": [32, 64], "num_heads": [2, 4],
        "num_groups": [2, 4], "window_size": 4, "projection_dim": 64}},
    "fuyu": {"image_token_id": 300},
    "gemma4_unified": {"vision_config": {
        "mm_embed_dim": WIDTH, "output_proj_dims": WIDTH, "pooling_kernel_size": 1, "patch_size": 8}},
    "gemma4": {"vision_config": {
        "hidden_size": WIDTH, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 4, "head_dim": 16, "patch_size": 8, "position_embedding_size": 16,
        "pooling_kernel_size": 2}},
    "gemma3": {"mm_tokens_per_image": 4},
    "gemma3n": {
        "text_config": {
            "layer_types": ["sliding_attention", "full_attention"] * 2, "num_kv_shared_layers": 2,
        },
    },
    "glm46v": _SECTIONS, "glm4v": _SECTIONS, "glm_ocr": _SECTIONS, "glmga": _SECTIONS,
    "glm4v_moe": {"text_config": {"rope_parameters": {"mrope_section": [2, 1, 1]}}},
    "granite4_vision": {
        **_TILES, "downsample_rate": "1/2", "deepstack_layer_map": [[-1, 0], [-2, 2]]},
    "hunyuan_vl": {"text_config": {
        "head_dim": 16, "rope_parameters": {"mrope_section": [2, 2, 2, 2]}}},
    "janus": {"vq_config": _VQ},
    "kimi_k25": {"text_config": {"head_dim": 8}},
    "llama4": {"vision_config": {"intermediate_size": 4 * WIDTH}},
    "llava_next": _TILES, "llava_next_video": _TILES, "llava_onevision": _TILES,
    **{name: {"image_token_id": 300} for name in (
        "minicpm_ocr", "minicpmv4_6", "minicpmv4_7", "nemotron_h_omni")},
    "mllama": {
        "vision_config": {"intermediate_layers_indices": [0, 1], "vision_output_dim": 3 * WIDTH},
        "text_config": {"cross_attention_layers": [1, 2]}},
    "vision-encoder-decoder": {
        "decoder_start_token_id": 0,
        "decoder": {"is_decoder": True, "add_cross_attention": True}},
    "molmo2": {"adapter_config": {"vision_feature_layer": [1, 0]}},
    "muse_glimmer": {"out_hidden_size": 4 * WIDTH},
    "muse_spark": {"out_hidden_size": 4 * WIDTH, "audio_config": {
        "hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1], "patch_sizes": [16, 6, 5, 4],
        "num_hidden_layers": 4}},
    "paddleocr_vl": _SECTIONS,
    "perception_lm": {"vision_config": {**_SIGLIP, "model_args": {"embed_dim": WIDTH}}},
    "pp_formulanet": {"text_config": _START, "vision_config": {
        "post_conv_in_channels": WIDTH, "post_conv_mid_channels": WIDTH}},
    "pix2struct": {"text_config": _START},
    "qwen2_5_omni_thinker": {**_SECTIONS, "vision_start_token_id": 500},
    "qwen3_omni_moe_thinker": {**_SECTIONS, "vision_start_token_id": 500},
    "qwen2_5_vl": _SECTIONS, "qwen2_vl": _SECTIONS,
    "qwen4_exp": {"text_config": {
        "indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 16, "indexer_budget": 64,
        "indexer_compress_ratio": 4}},
    "shieldgemma2": {"mm_tokens_per_image": 4},
    "step3p7": {"text_config": {"sliding_window": 8}},
    "t5gemma2": {"encoder": {"mm_tokens_per_image": 4}},
    "unlimited_ocr": {"vision_config": {"sam_config": {"downsample_channels": [32, WIDTH]}}},
    "udop": {"decoder_start_token_id": 0},
    "vipllava": {"vision_feature_layers": [-1, -2]},
}  # fmt: skip


WITHOUT_TOWER = ("gemma3n",)
"""Families whose image tower needs libraries that are not here: made without towers, asked with words."""


def model_types() -> dict[str, str]:
    """Model types that this transformers maps to image-text-to-text, and their classes."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    return dict(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)


def configuration(name: str, settings: Mapping[str, Any] | None = None) -> Any:
    """The tiny configuration of a model type."""
    from transformers import AutoConfig

    odd = SETTINGS.get(name, {}) if settings is None else settings
    small = _merged(shrunk(AutoConfig.for_model(name)), odd)
    return _configured(name, small)


def _configured(name: str, settings: Mapping[str, Any]) -> Any:
    from transformers import AutoConfig

    return AutoConfig.for_model(
        name, **{key: v for key, v in settings.items() if key != "model_type"}
    )


def made(name: str, settings: Mapping[str, Any]) -> Any:
    """The model of a configuration, as transformers initialises it; the same one every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _initialised(name, settings)


def _initialised(name: str, settings: Mapping[str, Any]) -> Any:
    import transformers
    from transformers import AutoModel

    kind, config = getattr(transformers, model_types()[name]), _configured(name, settings)
    if name not in WITHOUT_TOWER:
        return kind(config)
    whole = AutoModel.from_config

    def without_towers(part: Any) -> Any:
        return whole(part) if "text" in part.model_type else torch.nn.Identity()

    with mock.patch.object(AutoModel, "from_config", side_effect=without_towers):
        return kind(config)


def drawn(name: str) -> Any:
    """The model with weights of which every block says something."""
    return enlivened(made(name, configuration(name).to_dict()).eval())


def enlivened(model: Any) -> Any:
    """A model with weights drawn anew, and without settings that say a token by force."""
    if getattr(model, "generation_config", None) is None:
        return model
    lively(model, gain=2.0)
    head, words = model.get_output_embeddings(), _embeddings(model)
    weight = getattr(head, "weight", None)
    if weight is not None and weight is getattr(words, "weight", None):
        # A tied head repeats the token it was shown if the embedding is loud.
        with torch.no_grad():
            weight.mul_(0.1)
    model.generation_config.decoder_start_token_id = 0
    # BART ends an answer of full length by force: the last token would not be its most probable one.
    model.generation_config.forced_eos_token_id = None
    return model


def _embeddings(model: Any) -> Any:
    try:
        return model.get_input_embeddings()
    except NotImplementedError:
        return None


def _merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(base)
    for key, value in more.items():
        replaced = isinstance(value, Mapping) and "model_type" in value
        inner = made.get(key)
        if isinstance(value, Mapping) and isinstance(inner, Mapping) and not replaced:
            made[key] = _merged(inner, value)
        else:
            made[key] = value
    return made
