"""Doctor: what was found inside one opened checkpoint, line by line, for a person."""

from __future__ import annotations

from typing import Any

from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.proof import Proof
from lvlm_audit.models.quantised import quantised_by

_NOTHING = object()


def diagnose(hooked: HookedModel) -> tuple[tuple[str, str], ...]:
    """Label and text of each thing that is known after opening.

    Args:
        hooked: an opened model; that it opened says that the lens reads it.
    """
    anatomy, model = hooked.anatomy, hooked.model
    tied = "tied to the input embeddings" if anatomy.tied else "untied"
    return (
        ("model", hooked.name),
        ("architecture", f"{type(model).__name__} (model type {model.config.model_type})"),
        ("weights", _weights(hooked)),
        *(("adapter", text) for text in _adapters(model)),
        ("blocks", f"{hooked.blocks} at {anatomy.paths['blocks']}"),
        ("before the head", anatomy.paths["norm"] or "nothing"),
        ("head", f"{anatomy.paths['head']}, {anatomy.vocabulary} x {anatomy.width}, {tied}"),
        ("deviations", "; ".join(anatomy.deviations()) or "none"),
        *(("proof", _proof(proof)) for proof in hooked.proofs),
        ("processor", _processor(hooked)),
        ("image tokens", _image_tokens(hooked)),
        ("image", "no image was shown" if hooked.images is None else str(hooked.images)),
        *((note.about, note.text) for note in hooked.notes),
    )


def _weights(hooked: HookedModel) -> str:
    method = quantised_by(hooked.model.config)
    places = getattr(hooked.model, "hf_device_map", None) or {}
    spread = sorted(set(map(str, places.values())))
    quantised = f", quantised by {method}" if method is not None else ""
    where = f"spread over {', '.join(spread)}" if len(spread) > 1 else f"on {hooked.device}"
    return f"{hooked.dtype}{quantised} {where}"


def _adapters(model: Any) -> list[str]:
    found = getattr(model, "peft_config", None) or {}
    return [
        f"{config.peft_type.value}, trained on {config.base_model_name_or_path!r}"
        for config in found.values()
    ]


def _proof(proof: Proof) -> str:
    states = (
        "the model reports no states to compare"
        if proof.state_difference is None
        else f"states within {proof.state_difference:.2g}"
    )
    return (
        f"{proof.asked}: logits at the last state within {proof.logit_difference:.2g} of the model's own, "
        f"which reach {proof.largest_logit:.3g}; {states}"
    )


def _processor(hooked: HookedModel) -> str:
    if hooked.processor is None:
        return "none: it can be asked prepared probes only"
    template = getattr(hooked.processor, "chat_template", None)
    blind = ", no images" if hooked.processor is hooked.tokenizer else ""
    videos = getattr(hooked.processor, "video_processor", _NOTHING)
    without = (
        ", opened without its video part (torchvision is not installed)" if videos is None else ""
    )
    return (
        f"{type(hooked.processor).__name__}{blind}, {'with' if template else 'without'} a chat template"
        f"{without}"
    )


def _image_tokens(hooked: HookedModel) -> str:
    ids = sorted(hooked.image_token_ids)
    if not ids:
        return "the model names none"
    if hooked.tokenizer is None:
        return ", ".join(map(str, ids))
    words = hooked.tokenizer.convert_ids_to_tokens(ids)
    return ", ".join(f"{word} ({i})" for word, i in zip(words, ids, strict=True))
