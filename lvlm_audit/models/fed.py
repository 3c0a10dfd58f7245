"""What a model is fed beside the probes, by value: how images and text become tensors, and what ends them.

A checkpoint can get worse without a changed weight: by other means, another order of channels, another
template. What is kept are plain values, so that two audits can be held against each other without either
model; nothing of it names a path or a machine.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lvlm_audit.models.structure import text_config
from lvlm_audit.models.templates import template_of

if TYPE_CHECKING:
    from lvlm_audit.models.hooked import HookedModel

Fed = dict[str, dict[str, Any]]

_NOT_FED = frozenset(
    {
        # Names of classes that are said otherwise, of files and versions; parts that have a section of
        # their own; and videos, which no probe shows.
        "auto_map",
        "chat_template",
        "device",
        "feature_extractor",
        "feature_extractor_type",
        "image_processor",
        "image_processor_type",
        "name_or_path",
        "processor_class",
        "tokenizer",
        "tokenizer_class",
        "transformers_version",
        "video_processor",
    }
)
_LONGEST_LIST = 64
"""Entries of a setting that are kept; of longer ones, a digest."""
_UNBOUNDED = 10**9
"""From here on a tokenizer's greatest length means that it has none."""


def fed(hooked: HookedModel) -> Fed:
    """The sections of `Audit.fed`. A section without a setting is empty: no processor, no template."""
    processor, tokenizer = hooked.processor, hooked.tokenizer
    template = None if processor is None else template_of(processor, tokenizer)
    return {
        "processor": _processor(hooked),
        "chat template": {} if template is None else {"text": template},
        "tokenizer": {} if tokenizer is None else _tokenizer(tokenizer),
        "special tokens": {**_special_tokens(tokenizer), **_named_ids(hooked)},
        "generation": _generation(hooked.model),
    }


def _processor(hooked: HookedModel) -> dict[str, Any]:
    from lvlm_audit.models.looking import seen_of_colors

    processor = hooked.processor
    images = getattr(processor, "image_processor", None)
    if images is None:
        return {}
    own = dict(_flat(_settings(images)))
    rest = dict(_flat(vars(processor)))
    return {
        "class": type(processor).__name__,
        "image_processor": type(images).__name__,
        **own,
        # Two parts may call different things by one name.
        **{f"processor.{k}" if k in own and own[k] != v else k: v for k, v in rest.items()},
        **seen_of_colors(hooked),
    }


def _settings(part: Any) -> Mapping[str, Any]:
    """What a part of transformers would save of itself."""
    to_dict = getattr(part, "to_dict", None)
    try:
        said = vars(part) if to_dict is None else to_dict()
    except Exception:
        # Code that came with a checkpoint may fail to say what it is; its attributes do not.
        said = vars(part)
    return said if isinstance(said, Mapping) else vars(part)


def _tokenizer(tokenizer: Any) -> dict[str, Any]:
    longest = getattr(tokenizer, "model_max_length", None)
    return {
        "class": type(tokenizer).__name__,
        "vocabulary_size": len(tokenizer),
        **_digests(tokenizer),
        "added_tokens": _digest({str(i): str(t) for i, t in _added(tokenizer).items()}),
        "added_tokens_count": len(_added(tokenizer)),
        **{
            side: str(value)
            for side in ("padding_side", "truncation_side")
            if (value := getattr(tokenizer, side, None)) is not None
        },
        **(
            {"model_max_length": longest}
            if isinstance(longest, int) and longest < _UNBOUNDED
            else {}
        ),
    }


def _added(tokenizer: Any) -> Mapping[int, Any]:
    found = getattr(tokenizer, "added_tokens_decoder", None)
    return found if isinstance(found, Mapping) else {}


def _digests(tokenizer: Any) -> dict[str, str]:
    """Of the pieces with their merges, and of the rules around them, where the tokenizer can say them."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return {"vocabulary": _digest(tokenizer.get_vocab())}
    said = json.loads(backend.to_str())
    model = said.get("model") or {}
    if isinstance(merges := model.get("merges"), list):
        # Written "a b" or ["a", "b"], by the version that wrote them.
        model["merges"] = [m if isinstance(m, str) else " ".join(m) for m in merges]
    # How one text is cut and filled up is the caller's, not the checkpoint's.
    rules = {k: said.get(k) for k in ("normalizer", "pre_tokenizer", "post_processor", "decoder")}
    return {"vocabulary": _digest(model), "rules": _digest(rules)}


def _special_tokens(tokenizer: Any) -> dict[str, Any]:
    """Text and id of each by its name; several of one name as lists."""
    found: dict[str, Any] = {}
    for name, value in sorted((getattr(tokenizer, "special_tokens_map", None) or {}).items()):
        texts = [str(text) for text in value] if isinstance(value, (list, tuple)) else str(value)
        found[name] = texts
        found[f"{name}_id"] = tokenizer.convert_tokens_to_ids(texts)
    return found


def _named_ids(hooked: HookedModel) -> dict[str, Any]:
    return {
        "image_token_ids": sorted(hooked.image_token_ids),
        "end_ids": sorted(hooked.end_ids),
        "special_ids": _short(sorted(hooked.special_ids)),
    }


def _generation(model: Any) -> dict[str, Any]:
    """Greedy decoding uses no more of them than what ends an answer; they are named all the same."""
    config = getattr(model, "generation_config", None)
    found = {} if config is None else dict(_flat(_settings(config)))
    longest = getattr(text_config(model), "max_position_embeddings", None)
    return {**found, **({"context": longest} if isinstance(longest, int) else {})}


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Settings as plain values; what is not set is left out, since older files say less than newer ones."""
    for key, value in settings.items():
        name = str(key)
        if value is None or (not before and (name in _NOT_FED or name.startswith("_"))):
            continue
        if name == "resample":
            yield before + name, _resampling(value)
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif (plain := _plain(value)) is not None:
            yield before + name, plain


def _plain(value: Any) -> Any:
    """A value that JSON knows; None of what is no setting, as a part with parts of its own."""
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        # As JSON would not keep them: not a number, and infinities.
        return value if np.isfinite(value) else str(value)
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=str)
    if isinstance(value, (list, tuple)):
        entries = [_plain(one) for one in value]
        return _short(entries) if any(one is not None for one in entries) or not entries else None
    if type(value).__module__ == "torch" and type(value).__name__ == "dtype":
        return str(value).removeprefix("torch.")
    said = getattr(value, "content", None)
    return said if isinstance(said, str) else None


def _short(values: list[Any]) -> Any:
    return values if len(values) <= _LONGEST_LIST else f"{len(values)} values, {_digest(values)}"


def _resampling(value: Any) -> str:
    from PIL.Image import Resampling

    try:
        return Resampling(int(value)).name
    except (TypeError, ValueError):
        return str(getattr(value, "name", value))


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
