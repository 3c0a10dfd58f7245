"""Tiny random vision-language checkpoints, made in a moment each: a small zoo of families.

Weights are drawn so that distributions have peaks and the final norm has a shape of its own; with
transformers' initialisation every state would say almost the same. Vocabularies, widths, depths and
chat templates differ on purpose.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from lvlm_audit.probes.probe import ImageSource, Probe

Pair = tuple[Any, Any]
"""A model and its processor."""


def template(image: str) -> str:
    """A chat template that writes `image` for an image part."""
    return (
        "{% for message in messages %}{{ message['role'] | upper + ': ' }}"
        "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '"
        + image
        + "\n' }}"
        "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{{ ' ' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
    )


_CORPUS = [
    "What is in the image? The image shows a red circle and a blue square on a green background.",
    "How many dogs are there? There are two dogs and one cat near the yellow banana.",
    "Describe the picture. A small white snowman stands under a grey cloud. Is it a tree? Yes, no.",
] * 4


@functools.cache
def _trained(vocabulary: int, specials: tuple[str, ...]) -> str:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(
        _CORPUS,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=list(specials),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return str(made.to_str())


def tokenizer(vocabulary: int = 384, extra: tuple[str, ...] = ("<image>",), **named: str) -> Any:
    """Byte-level BPE with bos 0, eos 1, pad 2 and the extra special tokens from 3 on."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    specials = ("<s>", "</s>", "<pad>", *extra)
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_trained(vocabulary, specials)),
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=list(extra),
        extra_special_tokens=named,
    )


def lively(model: Any, seed: int = 0, gain: float = 0.9) -> Any:
    """Redraws all weights: blocks change the stream, norms are uneven, logits have peaks."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim >= 2:
                fan_in = parameter[0].numel()
                parameter.copy_(noise * (gain / fan_in**0.5))
            else:
                parameter.add_((0.3 if "norm" in name else 0.05) * noise)
        head = model.get_output_embeddings()
        if head is not None:
            scale = 3.0 / head.weight.shape[1] ** 0.5
            head.weight.copy_(torch.randn(head.weight.shape, generator=generator) * scale)
    model.generation_config.eos_token_id = 1
    model.generation_config.pad_token_id = 2
    return model.eval()


def drawn(kind: Callable[[Any], Any], config: Any, seed: int = 0) -> Any:
    """A lively model of its own seed: what `lively` only adds to is drawn by transformers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return lively(kind(config), seed)


def decoder(
    width: int, blocks: int, vocabulary: int, *, tied: bool = False, **more: Any
) -> dict[str, Any]:
    """What the configurations of most decoders have in common."""
    return {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": blocks,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": width // 4,
        "vocab_size": vocabulary,
        "max_position_embeddings": 512,
        "tie_word_embeddings": tied,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 2,
        **more,
    }


_EYE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


def llava(
    *,
    tied: bool = False,
    blocks: int = 10,
    width: int = 64,
    vocabulary: int = 384,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    text: dict[str, Any] | None = None,
) -> Pair:
    """LLaVA around a Llama, or around the decoder that `text` names by its model_type."""
    from transformers import (
        AutoConfig,
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    shape = decoder(width, blocks, vocabulary, tied=tied, **(text or {"model_type": "llama"}))
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**_EYE, image_size=28, patch_size=14, projection_dim=32),
        text_config=AutoConfig.for_model(**shape),
        image_token_index=3,
        image_seq_length=4,
        vision_feature_layer=-2,
        tie_word_embeddings=tied,
    )
    images = CLIPImageProcessorPil(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}
    )
    processor = LlavaProcessor(
        images,
        tokenizer(),
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template("<image>"),
    )
    return drawn(LlavaForConditionalGeneration, config, seed).to(dtype), processor


def llava_next(*, dtype: torch.dtype = torch.float32) -> Pair:
    """LLaVA-NeXT: any resolution, so that the number of image tokens follows the image's shape."""
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextImageProcessorPil,
        LlavaNextProcessor,
    )

    grids = [[28, 56], [56, 28], [56, 56], [84, 28]]
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**_EYE, image_size=28, patch_size=7, projection_dim=32),
        text_config=LlamaConfig(**decoder(48, 9, 384)),
        image_token_index=3,
        image_seq_length=16,
        image_grid_pinpoints=grids,
        vision_feature_layer=-2,
    )
    images = LlavaNextImageProcessorPil(
        size={"shortest_edge": 28},
        crop_size={"height": 28, "width": 28},
        image_grid_pinpoints=grids,
    )
    processor = LlavaNextProcessor(
        images,
        tokenizer(),
        patch_size=7,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template("<image>"),
    )
    return drawn(LlavaNextForConditionalGeneration, config, 10).to(dtype), processor


def paligemma(cap: float = 6.0) -> Pair:
    """PaliGemma 2: soft-capped logits, a prefix attended in both directions, no chat template."""
    from transformers import (
        Gemma2Config,
        PaliGemmaConfig,
        PaliGemmaForConditionalGeneration,
        PaliGemmaProcessor,
        SiglipImageProcessorPil,
        SiglipVisionConfig,
    )

    words = tokenizer()
    images = SiglipImageProcessorPil(size={"height": 28, "width": 28})
    images.image_seq_length = 4
    # The processor adds a thousand location tokens to the vocabulary.
    processor = PaliGemmaProcessor(images, words)
    shape = decoder(48, 9, len(words) + 3, tied=True, final_logit_softcapping=cap)
    config = PaliGemmaConfig(
        text_config=Gemma2Config(**shape),
        vision_config=SiglipVisionConfig(**_EYE, image_size=28, patch_size=14, projection_dim=48),
        image_token_index=words.convert_tokens_to_ids("<image>"),
        projection_dim=48,
        hidden_size=48,
    )
    return drawn(PaliGemmaForConditionalGeneration, config, 1), processor


def gemma3() -> Pair:
    """Gemma 3: sliding and full attention by turns, images attended in both directions."""
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3ImageProcessorPil,
        Gemma3Processor,
        Gemma3TextConfig,
        SiglipVisionConfig,
    )

    words = tokenizer(
        400,
        ("<image_soft_token>", "<start_of_image>", "<end_of_image>"),
        image_token="<image_soft_token>",
        boi_token="<start_of_image>",
        eoi_token="<end_of_image>",
    )
    images = Gemma3ImageProcessorPil(size={"height": 28, "width": 28})
    processor = Gemma3Processor(
        images, words, chat_template=template("<start_of_image>"), image_seq_length=4
    )
    config = Gemma3Config(
        text_config=Gemma3TextConfig(**decoder(32, 12, 400, tied=True, sliding_window=16)),
        vision_config=SiglipVisionConfig(**_EYE, image_size=28, patch_size=14),
        mm_tokens_per_image=4,
        boi_token_index=4,
        eoi_token_index=5,
        image_token_index=3,
    )
    return drawn(Gemma3ForConditionalGeneration, config, 2), processor


def _without_video(kind: type) -> type:
    """A processor class that can be made where torchvision, which video needs, is not installed."""

    class Processor(kind):  # type: ignore[misc, valid-type]
        def check_argument_for_proper_class(self, name: str, argument: Any) -> Any:
            if name != "video_processor":
                return super().check_argument_for_proper_class(name, argument)
            return None

    return Processor


def qwen2_5_vl() -> Pair:
    """Qwen2.5-VL: three-dimensional positions, as many image tokens as the image is large."""
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessorPil,
    )

    extra = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    words = tokenizer(420, extra)
    images = Qwen2VLImageProcessorPil(
        size={"shortest_edge": 28 * 28, "longest_edge": 28 * 28 * 8}, patch_size=14
    )
    processor = _without_video(Qwen2_5_VLProcessor)(
        images,
        words,
        None,
        chat_template=template("<|vision_start|><|image_pad|><|vision_end|>"),
    )
    shape = decoder(32, 9, 420, rope_parameters={
        "rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4,
    })  # fmt: skip
    config = Qwen2_5_VLConfig(
        text_config=shape,
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2,
            "out_hidden_size": 32, "fullatt_block_indexes": [1], "patch_size": 14,
        },
        image_token_id=3, video_token_id=4, vision_start_token_id=5, vision_end_token_id=6,
    )  # fmt: skip
    return drawn(Qwen2_5_VLForConditionalGeneration, config, 3), processor


def idefics3() -> Pair:
    """Idefics 3 (SmolVLM's kin): images cut into tiles, a pixel mask, a decoder called text_model."""
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3ImageProcessorPil,
        Idefics3Processor,
        LlamaConfig,
    )

    extra = ("<image>", "<fake_token_around_image>", "<end_of_utterance>", "<global-img>")
    words = tokenizer(390, extra)
    images = Idefics3ImageProcessorPil(
        size={"longest_edge": 56}, max_image_size={"longest_edge": 28}
    )
    processor = Idefics3Processor(images, words, image_seq_len=4, chat_template=template("<image>"))
    config = Idefics3Config(
        text_config=LlamaConfig(**decoder(40, 11, len(words))),
        vision_config={**_EYE, "image_size": 28, "patch_size": 7},
        image_token_id=3,
        scale_factor=2,
        pad_token_id=2,
    )
    return drawn(Idefics3ForConditionalGeneration, config, 4), processor


def internvl() -> Pair:
    """InternVL around Qwen2, whose projections have biases."""
    from transformers import (
        GotOcr2ImageProcessorPil,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        Qwen2Config,
    )

    words = tokenizer(
        410,
        ("<IMG_CONTEXT>", "<img>", "</img>", "<video>"),
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    images = GotOcr2ImageProcessorPil(size={"height": 28, "width": 28}, max_patches=2)
    processor = _without_video(InternVLProcessor)(
        images, words, None, image_seq_length=4, chat_template=template("<IMG_CONTEXT>")
    )
    config = InternVLConfig(
        text_config=Qwen2Config(**decoder(32, 10, 410)),
        vision_config={**_EYE, "image_size": [28, 28], "patch_size": [7, 7]},
        image_token_id=3,
        image_seq_length=4,
        downsample_ratio=0.5,
    )
    return drawn(InternVLForConditionalGeneration, config, 5), processor


def aya_vision() -> Pair:
    """Aya Vision around Cohere 2: blocks in parallel, layer norms, a logit scale that it declares."""
    from transformers import (
        AyaVisionConfig,
        AyaVisionForConditionalGeneration,
        Cohere2Config,
        SiglipVisionConfig,
    )

    config = AyaVisionConfig(
        text_config=Cohere2Config(**decoder(32, 9, 384, tied=True, logit_scale=0.25)),
        vision_config=SiglipVisionConfig(**_EYE, image_size=28, patch_size=14),
        image_token_index=3,
        downsample_factor=2,
    )
    return drawn(AyaVisionForConditionalGeneration, config, 6), None


def text_only(model_type: str, **more: Any) -> Pair:
    """A language model without eyes, with its tokenizer: for what only those still do to logits."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(**decoder(32, 9, 384, model_type=model_type, **more))
    return drawn(AutoModelForCausalLM.from_config, config, 7), tokenizer()


FAMILIES: dict[str, Callable[[], Pair]] = {
    "llava": llava,
    "llava tied": lambda: llava(tied=True, blocks=9, width=48, vocabulary=500, seed=8),
    "llava gemma2": lambda: llava(
        text={"model_type": "gemma2", "final_logit_softcapping": 5.0}, seed=9
    ),
    "llava next": llava_next,
    "paligemma": paligemma,
    "gemma3": gemma3,
    "qwen2.5-vl": qwen2_5_vl,
    "idefics3": idefics3,
    "internvl": internvl,
    "aya-vision": aya_vision,
}


def save(pair: Pair, folder: Path) -> Path:
    """Writes model and processor as an ordinary checkpoint folder."""
    model, processor = pair
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def picture(seed: int = 0, size: tuple[int, int] = (40, 32)) -> ImageSource:
    """A small PNG of coloured blocks."""
    generator = torch.Generator().manual_seed(seed)
    grid = torch.randint(0, 256, (4, 4, 3), generator=generator, dtype=torch.uint8)
    data = io.BytesIO()
    Image.fromarray(grid.numpy()).resize(size, Image.Resampling.NEAREST).save(data, "PNG")
    return ImageSource(f"blocks {seed}", data=data.getvalue())


def probes(count: int = 3, *, images: bool = True) -> list[Probe]:
    """Questions of different lengths about pictures of different sizes."""
    questions = ["Is it a tree?", "How many dogs are there in the image?", "Describe the picture."]
    return [
        Probe(
            id=f"probe-{i}",
            prompt=questions[i % 3] + " Yes or no?" * (i // 3),
            image=picture(i, (30 + 17 * i, 60 - 5 * i)) if images else None,
            cluster=f"image-{i}",
            answer="A red circle.",
        )
        for i in range(count)
    ]


def prepared(ids: tuple[int, ...] = (0, 50, 60, 70, 80), id: str = "prepared") -> Probe:
    """A probe of plain ids."""
    return Probe.prepared({"input_ids": torch.tensor([ids])}, id=id)
