"""Shrinks the configuration of any architecture until its model is made in a moment.

Sizes are recognised by their names, which architectures share; nested configurations are shrunk each
for itself, and all widths become the same, so that whatever projects one into another still fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WIDTH = 64
BLOCKS = 4
VOCABULARY = 512
SIDE = 32
"""Pixels of an image's side; patches are 8."""

_WIDTHS = (
    "hidden_size", "d_model", "embed_dim", "out_hidden_size", "text_hidden_size", "vision_hidden_size",
    "projection_dim", "encoder_hidden_size", "vision_output_dim", "word_embed_proj_dim", "output_dim",
    "image_text_hidden_size", "projector_input_dim", "projector_output_dim", "projection_hidden_size",
    "patch_embed_hidden_size", "output_channels", "merged_hidden_size", "post_conv_out_channels",
    "decoder_hidden_size", "image_token_embed_dim", "vision_config_hidden_size", "pooler_output_size",
    "n_embd", "emb_dim", "embedding_dim", "embedding_size", "lru_width", "dim_model_base",
    "backbone_hidden_size",
)  # fmt: skip
_INNER = (
    "intermediate_size", "moe_intermediate_size", "ffn_dim", "encoder_ffn_dim", "decoder_ffn_dim", "d_ff",
    "mlp_dim", "dense_intermediate_size", "intermediate_size_mlp", "shared_expert_intermediate_size",
    "moe_shared_expert_intermediate_size", "shared_intermediate_size", "share_expert_dim",
    "shared_experts_intermediate_size", "projector_hidden_size", "projection_intermediate_size",
    "n_inner", "dff", "dim_ff", "d_inner", "ffn_hidden_size", "expert_ffn_hidden_size", "feed_forward_size",
    "attention_hidden_size", "projection_hidden_dim", "alignment_intermediate_size", "moe_hidden_size",
    "downsample_hidden_size",
)  # fmt: skip
_HEADS = (
    "num_attention_heads", "num_heads", "attention_heads", "encoder_attention_heads",
    "decoder_attention_heads", "swa_num_attention_heads", "num_sliding_attention_heads", "linear_num_heads",
    "linear_num_value_heads", "resampler_heads", "resampler_n_heads", "conf_num_attention_heads",
    "n_head", "n_heads", "num_encoder_attention_heads", "num_decoder_attention_heads",
)  # fmt: skip
_DEPTHS = (
    "num_hidden_layers", "depth", "encoder_layers", "num_layers", "layers", "n_layers", "num_decoder_layers",
    "decoder_layers", "resampler_depth", "conf_num_hidden_layers", "n_layer", "num_blocks",
    "num_encoder_layers", "num_layers_per_stack",
)  # fmt: skip
_SMALL: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "vocab_size_per_layer_input": VOCABULARY,
    "unpadded_vocab_size": VOCABULARY,
    "head_dim": 16, "swa_head_dim": 16, "global_head_dim": 16, "d_kv": 16, "kv_channels": 16,
    "linear_key_head_dim": 16, "linear_value_head_dim": 16, "linear_head_dim": 16, "resampler_head_dim": 16,
    "resampler_dim_head": 16, "mamba_head_dim": 16, "index_head_dim": 16,
    "mamba_num_heads": 8, "ssm_state_size": 8, "n_groups": 2, "linear_num_key_heads": 2, "index_n_heads": 2,
    "q_lora_rank": 24, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 16,
    "qk_head_dim": 16, "index_topk": 512,
    "hidden_size_per_layer_input": 16, "laurel_rank": 8, "num_registers": 2,
    "num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4, "moe_num_experts": 4,
    "num_experts_per_tok": 2, "moe_topk": 2, "moe_k": 2, "top_k_experts": 2, "n_group": 1, "topk_group": 1,
    "max_position_embeddings": 512, "n_positions": 512, "max_seq_len": 512, "context_length": 512, "n_ctx": 512,
    "dim_head": 16, "d_head": 16, "attention_head_size": 16, "rotary_dim": 8, "adapter_rank": 8, "d_rel": 8,
    "mamba_d_head": 16, "mamba_n_heads": 8, "mamba_headdim": 16, "n_mamba_heads": 8, "mamba_d_state": 8,
    "mamba_d_ssm": 128, "mamba_dt_rank": 8, "time_step_rank": 8, "state_size": 8, "block_multiple_of": 16,
    "encoder_hash_byte_group_vocab": 512, "ngram_vocab_size_base": 512, "ple_embed_dim": 16,
    "split_ngram_parts": 4, "o_lora_rank": 16, "o_groups": 2, "router_hidden_size": 32, "rel_extent": 32,
    "zero_expert_num": 4, "num_experts_per_token": 2, "num_expert_group": 1, "prompt_types": 4,
    "decoder_vocab_size": VOCABULARY, "position_bias_max_distance": 64, "attention_head_dim": 16,
    "image_size": SIDE, "max_image_size": SIDE, "max_img_size": SIDE, "resolution": SIDE, "patch_size": 8,
    "num_query_tokens": 4, "latent_query_num": 4, "query_pre_attn_scalar": 16, "sliding_window": 8,
    "attention_chunk_size": 64,
    "sliding_window_size": 8,
    "num_position_embeddings": 16, "num_patches": 16, "window_size": 16,
    "hc_lowrank": 16, "resampler_n_latents": 4, "resampler_num_latents": 4,
}  # fmt: skip
_KEY_VALUE_HEADS = (
    "num_key_value_heads", "swa_num_key_value_heads", "num_global_key_value_heads", "num_kv_heads",
)  # fmt: skip
_DROPPED = ("transformers_version", "architectures", "dtype")
_ID_ENDINGS = ("_token_id", "_token_index", "_patch_id", "_start_id", "_end_id", "_newline_id")
_TEXT = ("text_config", "llm_config", "language_config", "decoder", "decoder_config")


def shrunk(config: Any) -> dict[str, Any]:
    """The constructor's arguments for a tiny model of a configuration's architecture."""
    return _shrink(config.to_dict(), {}, text=True)


def _shrink(config: Mapping[str, Any], ids: dict[str, int], *, text: bool) -> dict[str, Any]:
    blocks = BLOCKS if text else 2
    depth = next((config[k] for k in _DEPTHS if isinstance(config.get(k), int)), 0)
    layers = _representative(config, depth, blocks) if depth > blocks else range(depth)
    small: dict[str, Any] = {}
    for key, value in config.items():
        if key in _DROPPED:
            continue
        if key == "per_layer_config" and value:
            by_layer = {int(layer): settings for layer, settings in value.items()}
            small[key] = {
                new: _shrink(by_layer[old], ids, text=text)
                for new, old in enumerate(layers)
                if old in by_layer
            }
        elif isinstance(value, Mapping):
            if key in ("rope_parameters", "rope_scaling"):
                small[key] = _rope(value)
            else:
                nested = text and (key in _TEXT or "model_type" not in value)
                small[key] = _shrink(value, ids, text=nested)
        elif str(key).endswith("_indexes"):
            # Layers of a tower that do something more: all of them feed later ones, or the last does.
            small[key] = list(range(blocks)) if "deepstack" in str(key) else [blocks - 1]
        elif isinstance(value, (list, tuple)) and depth > blocks and len(value) == depth:
            small[key] = [value[layer] for layer in layers]
        elif isinstance(value, int) and not isinstance(value, bool):
            small[key] = _number(config, str(key), value, ids, blocks)
        else:
            small[key] = value
    return small


def _representative(config: Mapping[str, Any], depth: int, blocks: int) -> list[int]:
    """As many layers as there shall be, every kind among them if there is room, in order."""
    lists = [v for v in config.values() if isinstance(v, (list, tuple)) and len(v) == depth]
    special = {int(layer): str(v) for layer, v in (config.get("per_layer_config") or {}).items()}
    kinds = [(*(str(v[i]) for v in lists), special.get(i)) for i in range(depth)]
    first = [i for i in range(depth) if kinds[i] not in kinds[:i]][:blocks]
    rest = [i for i in range(depth) if i not in first]
    return sorted(first + rest[: blocks - len(first)])


def _number(
    config: Mapping[str, Any], key: str, value: int, ids: dict[str, int], blocks: int
) -> int:
    if key.endswith(_ID_ENDINGS):
        return _token(key, value, ids)
    if key in _DEPTHS:
        return min(value, blocks)
    if key in _WIDTHS:
        return WIDTH
    if key in _INNER:
        return 2 * WIDTH
    if key in _HEADS:
        return min(4, value)
    if key in _KEY_VALUE_HEADS:
        return 4 if value == config.get("num_attention_heads") else min(2, value)
    if key in _SMALL:
        return min(value, int(_SMALL[key]))
    return value


def _token(key: str, value: int, ids: dict[str, int]) -> int:
    """Ids beyond the small vocabulary become other ones; the same name gets the same id everywhere."""
    if value < VOCABULARY - 64:
        return value
    return ids.setdefault(key, VOCABULARY - 2 - len(ids))


def _rope(value: Mapping[str, Any]) -> dict[str, Any]:
    """Sections of multi-dimensional positions are parts of half a head."""
    made = {key: _rope(v) if isinstance(v, Mapping) else v for key, v in value.items()}
    if made.get("mrope_section"):
        count = len(made["mrope_section"])
        half = int(_SMALL["head_dim"] / 2 * made.get("partial_rotary_factor", 1.0))
        rest = max(1, half // count)
        made["mrope_section"] = [half - rest * (count - 1)] + [rest] * (count - 1)
    return made
