"""Configured: numbers of a config.json that cannot be, found before memory is taken for them. No torch.

A configuration is trusted by everybody who reads it: a number of layers is a loop, a width is an allocation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lvlm_audit.errors import UnsupportedModel

_DEEPEST = 16
"""Levels of a configuration that are looked at; real ones have four."""
_MOST_LAYERS = 1000
"""Layers that are believed without a look at the weights: no model has so many, and they are built at once."""
_LAYERS = re.compile(r"(num_)?(hidden_|encoder_|decoder_)?(layers|blocks)|n_layers?|depth")
_SIZES = re.compile(
    r"\w*(hidden_size|intermediate_size|vocab_size|patch_size|image_size|num_hidden_layers|"
    r"num_attention_heads|embed_dim|d_model|num_channels)"
)
_FIELD = re.compile(r"for field '(\w+)'")


def check_depths(name: str, config: Mapping[str, Any], tensors: int | None) -> None:
    """Refuses more layers than there are tensors to fill them, before a model of so many is built.

    Args:
        name: of the model, as the user gave it.
        config: config.json as it is written.
        tensors: how many the checkpoint holds; None where its weights are not on this machine.

    Raises:
        UnsupportedModel: it declares more.
    """
    most = max(_MOST_LAYERS, tensors or 0)
    for path, value in _values(config):
        key = path.rpartition(".")[2]
        if type(value) is int and value > most and _LAYERS.fullmatch(key):
            why = (
                "no model has so many layers"
                if tensors is None
                else f"its weights hold {tensors} tensors in all, and each layer has one at least"
            )
            raise UnsupportedModel(
                f"the config.json of {name!r} says {path} = {_shown(value)}, but {why}. Correct the number, "
                f"or give the config.json that belongs to these weights."
            )


def check_feature_layers(name: str, config: Mapping[str, Any]) -> None:
    """Refuses image features of a layer that the vision tower does not have.

    Raises:
        UnsupportedModel: there is no such layer.
    """
    tower, stated = config.get("vision_config"), config.get("vision_feature_layer")
    depth = tower.get("num_hidden_layers") if isinstance(tower, Mapping) else None
    layers = stated if isinstance(stated, list) else [stated]
    for layer in layers:
        if type(layer) is int and type(depth) is int and not -depth - 1 <= layer <= depth:
            raise UnsupportedModel(
                f"the config.json of {name!r} says vision_feature_layer = {_shown(stated)}, but its vision "
                f"tower has {depth} layers (vision_config.num_hidden_layers). Correct one of the two."
            )


def suspects(config: Mapping[str, Any], said: str) -> str:
    """Which values of a configuration an error is about, as the beginning of a message; "" if none is found.

    Args:
        config: config.json as it is written.
        said: all that the error says.
    """
    found = [(path, value) for path, value in _values(config)]
    named = _FIELD.search(said)
    if named is not None:
        by_name = [(p, v) for p, v in found if p.rpartition(".")[2] == named[1]]
        # The same field stands in several parts of a configuration; the error quotes the value.
        quoted = [(p, v) for p, v in by_name if f"(value: {v!r})" in said or f"value {v!r}" in said]
        picked = quoted or by_name
    else:
        # No size can be null, zero or a word.
        picked = [(p, v) for p, v in found if _impossible(p.rpartition(".")[2], v)]
        picked += [(p, v) for p, v in found if isinstance(v, str) and said.strip("'\"") == v]
    if not picked:
        return ""
    values = ", ".join(f"{path} = {_shown(value)}" for path, value in dict(picked[:3]).items())
    return f"its config.json says {values}. "


def _impossible(key: str, value: object) -> bool:
    if _SIZES.fullmatch(key) is None:
        return False
    return value is None or isinstance(value, str) or (isinstance(value, int) and value < 1)


def _shown(value: object) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else text[:60] + " ..."


def _values(
    config: Mapping[str, Any], under: str = "", depth: int = 0
) -> Iterator[tuple[str, Any]]:
    """Each value with its path ("text_config.hidden_size"), those of nested objects too."""
    for key, value in config.items():
        path = f"{under}{key}"
        yield path, value
        if isinstance(value, Mapping) and depth < _DEEPEST:
            yield from _values(value, f"{path}.", depth + 1)
