"""Greedy: a model's own `generate()`, without the generation settings that come with a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def greedy(
    model: Any,
    inputs: Mapping[str, Any],
    *,
    max_new_tokens: int,
    end_ids: list[int],
    padding_id: int,
    start_id: int | None,
    reported: bool = False,
    **more: Any,
) -> Any:
    """What `generate()` gives, with its cache.

    `generate()` fills every setting that is left open from the checkpoint's own: a repetition penalty or
    forced tokens would make the emitted token another than the most probable one.

    Args:
        model: a transformers model that generates.
        inputs: as `generate()` takes them.
        max_new_tokens: an answer's length at most.
        end_ids: tokens that end it; none: it is of full length.
        padding_id: what a row that has ended is filled with.
        start_id: what an encoder-decoder's answer starts from.
        reported: whether logits and hidden states of every step are returned too.
        more: other arguments of `generate()`.
    """
    from transformers import GenerationConfig

    settings = GenerationConfig(
        do_sample=False,
        num_beams=1,
        max_new_tokens=max_new_tokens,
        eos_token_id=end_ids or None,
        pad_token_id=padding_id,
        decoder_start_token_id=start_id,
        use_cache=True,
        repetition_penalty=1.0,
        return_dict_in_generate=reported,
        output_logits=reported,
        output_hidden_states=reported,
    )
    before = model.generation_config
    model.generation_config = settings
    try:
        return model.generate(**inputs, generation_config=settings, **more)
    finally:
        model.generation_config = before
