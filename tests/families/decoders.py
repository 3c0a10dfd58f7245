"""Decoders of text: what each of transformers' causal language models needs, and its tiny model."""

from __future__ import annotations

from typing import Any

from tests.families import zoo
from tests.families.shrink import WIDTH

_NAIVE = {"head_dim": 16}
_MAMBA_2 = {"mamba_n_heads": 8, "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_d_ssm": 128}

SETTINGS: dict[str, dict[str, Any]] = {
    **{name: {"qk_head_dim": 16, "head_dim": 8} for name in ("axk1", "deepseek_v3", "longcat_flash", "youtu")},
    "gemma4_assistant": {"text_config": {"hidden_size_per_layer_input": 0}},
    "bamba": {**_MAMBA_2, "attn_layer_indices": [1, 3]},
    "cohere_compass_text": {"rope_parameters": {"full_attention": {
        "rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]}}},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "falcon_h1": _MAMBA_2,
    "gemma3n_text": {
        "layer_types": ["sliding_attention", "full_attention"] * 2, "num_kv_shared_layers": 2},
    "granitemoehybrid": {**_MAMBA_2, "layer_types": ["mamba", "attention"] * 2},
    "hunyuan_v1_dense": _NAIVE, "ministral": _NAIVE,
    "hunyuan_v1_moe": {**_NAIVE, "num_experts": 4, "moe_topk": 2},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "mamba2": {"num_heads": 8, "head_dim": 16, "n_groups": 2},
    "moshi": {"sliding_window": 64},  # beyond it its cache and its mask see different tokens
    "nemotron": {"head_dim": 16, "num_key_value_heads": 2},
    "qwen4_exp_text": {
        "indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 16, "indexer_budget": 64,
        "indexer_compress_ratio": 4},
    "reformer": {"is_decoder": True, "axial_pos_shape": [16, 32], "axial_pos_embds_dim": [32, 32],
                 "attn_layers": ["local"] * 4},
    "rwkv": {"attention_hidden_size": WIDTH},
    "xlnet": {"n_head": 4, "d_head": 16},
    "xmod": {"default_language": "en_XX"},
    "blenderbot": {"encoder_layers": 4},
    "xlstm": {"num_heads": 4, "qk_dim_factor": 1.0, "v_dim_factor": 1.0},
    "zamba": {"layers_block_type": ["linear_attention", "hybrid"] * 2},
    "zamba2": {"layers_block_type": ["linear_attention", "hybrid"] * 2, "hybrid_layer_ids": [1, 3]},
}  # fmt: skip


def model_types() -> dict[str, str]:
    """Model types that this transformers maps to causal language models, and their classes."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return {name: str(kind) for name, kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items()}


def drawn(name: str) -> Any:
    """The tiny model with weights of which every block says something."""
    import transformers

    config = zoo.configuration(name, SETTINGS.get(name, zoo.SETTINGS.get(name, {})))
    kind = getattr(transformers, model_types()[name])
    # Some types name a whole of which the causal language model is a part.
    parts = [part for part in vars(config).values() if type(part) is kind.config_class]
    if type(config) is not kind.config_class and parts:
        return zoo.enlivened(kind(parts[0]).eval())
    return zoo.enlivened(transformers.AutoModelForCausalLM.from_config(config).eval())
