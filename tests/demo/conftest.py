"""A tiny decoder with SmolLM2's special tokens, and an untrained adapter that fits it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from lvlm_audit.demo.architecture import Adapter
from lvlm_audit.demo.decoder import DecoderSource
from lvlm_audit.demo.recipe import Recipe, TowerShape
from lvlm_audit.demo.training import write_adapter

SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<reponame>", "<file_sep>",
    "<filename>", "<gh_stars>", "<issue_start>", "<issue_comment>", "<issue_closed>",
    "<jupyter_start>", "<jupyter_text>", "<jupyter_code>", "<jupyter_output>",
    "<jupyter_script>", "<empty_output>",
)  # fmt: skip

TINY = Recipe(
    tower=TowerShape(image_size=32, patch_size=16, width=16, blocks=2, heads=2, mlp_width=32),
    scenes=12,
    perception_steps=2,
    perception_batch=4,
    language_steps=4,
    language_batch=2,
    questions=2,
    row_tokens=320,
)


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    return TINY


@pytest.fixture(scope="session")
def tiny_decoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("decoder")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
    ).save_pretrained(folder)
    torch.manual_seed(0)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            tie_word_embeddings=True,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=2,
        )
    ).to(torch.bfloat16).save_pretrained(folder)
    return folder


@pytest.fixture
def tiny_source(tiny_decoder_folder: Path) -> DecoderSource:
    return DecoderSource("folder", "a tiny decoder", tiny_decoder_folder, None, "0" * 64)


@pytest.fixture(scope="session")
def tiny_adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    torch.manual_seed(1)
    write_adapter(Adapter(TINY.tower, 32), TINY, folder, {})
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "cache"
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(root))
    return root


@pytest.fixture
def forbid_fetching(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("nothing may be fetched here")

    monkeypatch.setattr("lvlm_audit.demo.assemble.fetch_decoder", refuse)
