"""Tiny random vision-language checkpoints, made in a second each: every family its own little zoo.

Weights are drawn so that distributions have peaks and the final norm has a shape of its own; with
transformers' initialisation every state would say almost the same.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
from PIL import Image

LLAVA_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] | upper + ': ' }}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<image>\n' }}"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{{ ' ' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)

_CORPUS = [
    "What is in the image? The image shows a red circle and a blue square on a green background.",
    "How many dogs are there? There are two dogs and one cat near the yellow banana.",
    "Describe the picture. A small white snowman stands under a grey cloud. Is there a tree? Yes, no.",
] * 4


@functools.cache
def _trained_tokenizer(vocabulary: int, specials: tuple[str, ...]) -> str:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        _CORPUS,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=list(specials),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return str(tokenizer.to_str())


def tokenizer(vocabulary: int = 384, extra: tuple[str, ...] = ("<image>",)) -> Any:
    """A byte-level BPE tokenizer with bos 0, eos 1, pad 2 and the extra special tokens after them."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    specials = ("<s>", "</s>", "<pad>", *extra)
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_trained_tokenizer(vocabulary, specials)),
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=list(extra),
    )


def lively(model: Any, seed: int = 0) -> Any:
    """Redraws all weights so that blocks change the stream, norms are uneven and logits have peaks."""
    generator = torch.Generator().manual_seed(seed)
    head = model.get_output_embeddings()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
            if "norm" in name and parameter.ndim == 1 and name.endswith("weight"):
                parameter.copy_(parameter + 0.3 * noise)
            elif parameter.ndim >= 2:
                fan_in = parameter[0].numel()
                parameter.copy_(noise * (0.9 / fan_in**0.5))
            else:
                parameter.copy_(parameter + 0.05 * noise)
        if head is not None:
            d = head.weight.shape[1]
            head.weight.copy_(torch.randn(head.weight.shape, generator=generator) * (3.0 / d**0.5))
    model.generation_config.eos_token_id = 1
    model.generation_config.pad_token_id = 2
    return model.eval()


def llava(
    *,
    tied: bool = False,
    blocks: int = 10,
    width: int = 64,
    vocabulary: int = 384,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    text: dict[str, Any] | None = None,
) -> tuple[Any, Any]:
    """LLaVA around a Llama (or, by `text`, another decoder's configuration), with its processor."""
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    words = tokenizer(min(vocabulary, 384))
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        image_size=28, patch_size=14, projection_dim=32,
    )  # fmt: skip
    shape = {
        "hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": blocks,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": vocabulary,
        "max_position_embeddings": 512, "tie_word_embeddings": tied,
        "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2,
    }  # fmt: skip
    if text is None:
        decoder: Any = LlamaConfig(**shape)
    else:
        from transformers import AutoConfig

        decoder = AutoConfig.for_model(**{**shape, **text})
    config = LlavaConfig(
        vision_config=vision, text_config=decoder, image_token_index=3, image_seq_length=4,
        vision_feature_layer=-1, tie_word_embeddings=tied,
    )  # fmt: skip
    model = lively(LlavaForConditionalGeneration(config), seed).to(dtype)
    images = CLIPImageProcessorPil(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}
    )
    processor = LlavaProcessor(
        images, words, patch_size=14, vision_feature_select_strategy="default",
        num_additional_image_tokens=1, chat_template=LLAVA_TEMPLATE,
    )  # fmt: skip
    return model, processor


def save(pair: tuple[Any, Any], folder: Path) -> Path:
    """Writes model and processor as an ordinary checkpoint folder."""
    model, processor = pair
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def picture(seed: int = 0, size: tuple[int, int] = (40, 32)) -> Image.Image:
    """A small image of coloured blocks."""
    generator = torch.Generator().manual_seed(seed)
    grid = torch.randint(0, 256, (4, 4, 3), generator=generator, dtype=torch.uint8)
    return Image.fromarray(grid.numpy()).resize(size, Image.Resampling.NEAREST)
