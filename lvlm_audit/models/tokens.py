"""Tokens with a part of their own, from where architectures write them down; never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.models.structure import is_encoder_decoder, text_config


def image_token_ids(model: Any, processor: Any) -> frozenset[int]:
    """Ids that stand for image positions in a prompt, or frame them."""
    places: list[Mapping[str, Any]] = [vars(model.config)]
    if processor is not None:
        places.append(vars(processor))
    keys = (
        "image_token_id",
        "image_token_index",
        "video_token_id",
        "video_token_index",
        "vision_start_token_id",
        "vision_end_token_id",
    )
    found = {place.get(key) for place in places for key in keys}
    return frozenset(value for value in found if isinstance(value, int) and value >= 0)


def image_feature_id(model: Any) -> int | None:
    """The token whose embedding the model replaces by an image feature, from its own configuration."""
    for key in ("image_token_id", "image_token_index"):
        value = getattr(model.config, key, None)
        if isinstance(value, int) and value >= 0:
            return value
    return None


def start_id(model: Any) -> int | None:
    """What an encoder-decoder's decoder is shown first; None for a model that is none."""
    if not is_encoder_decoder(model):
        return None
    places = (getattr(model, "generation_config", None), model.config, text_config(model))
    for key in ("decoder_start_token_id", "bos_token_id"):
        for place in places:
            if isinstance(start := getattr(place, key, None), int):
                return start
    return 0


def end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Tokens that end an answer.

    Raises:
        UnsupportedModel: what is stated as such is no id of a token.
    """
    config = getattr(model, "generation_config", None)
    stated = getattr(config, "eos_token_id", None)
    if stated is None:
        stated = getattr(tokenizer, "eos_token_id", None)
    if stated is None:
        return frozenset()
    ends = list(stated) if isinstance(stated, (list, tuple, set)) else [stated]
    for end in ends:
        # -1 is how some checkpoints say that nothing ends their answers.
        if type(end) is not int or end < -1:
            raise UnsupportedModel(
                f"generation_config.json (or config.json) says eos_token_id = {stated!r}, but {end!r} is no "
                f"token's id. Ids are whole numbers from 0 on: correct it."
            )
    return frozenset(end for end in ends if end >= 0)
