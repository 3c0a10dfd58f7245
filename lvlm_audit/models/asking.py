"""Asking: from probes to the tensors that a model takes, through the model's own processor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lvlm_audit.errors import LvlmAuditError, ProbeError, UnsupportedModel
from lvlm_audit.models.quiet import quiet
from lvlm_audit.probes.probe import Probe, Turn

Inputs = dict[str, Any]


def build_inputs(
    processor: Any,
    probes: Sequence[Probe],
    *,
    device: torch.device,
    dtype: torch.dtype,
    continuations: Sequence[Sequence[int]] | None = None,
    image_id: int | None = None,
) -> Inputs:
    """Left-padded batch inputs, with a continuation appended to each prompt if given.

    A chat template is used if the processor has one; otherwise the question is asked
    as it is, behind the image's token if the model has one and the processor does not add it.
    Prepared probes are passed through, one at a time.

    Args:
        processor: the model's processor, a tokenizer, or None for prepared probes.
        probes: all with the same number of images, or one prepared.
        device: where the tensors go.
        dtype: of the floating-point ones.
        continuations: token ids to append per probe; may differ in length.
        image_id: the token that the model's configuration names as the image's, if it does.

    Raises:
        ProbeError: an image cannot be read, or the processor refuses a probe; the message names it.
        UnsupportedModel: the model has no processor and the probe is not prepared.
    """
    if probes[0].tensors is not None:
        if len(probes) != 1:
            raise ProbeError(
                f"prepared probe {probes[0].id!r} cannot share a batch; pass batch_size=1."
            )
        inputs = {key: value for key, value in probes[0].tensors.items() if value is not None}
    else:
        if processor is None:
            raise UnsupportedModel(
                f"the model has no processor, so probe {probes[0].id!r} cannot be turned into tensors. "
                f"Pass processor=..., or ask it Probe.prepared({{'input_ids': ...}})."
            )
        inputs = _processed(processor, probes, image_id)
    if "input_ids" in inputs:
        inputs.setdefault("attention_mask", torch.ones_like(inputs["input_ids"]))
    inputs = {
        key: value.to(device, dtype if value.is_floating_point() else None)
        if isinstance(value, Tensor)
        else value
        for key, value in inputs.items()
    }
    _check_left_padding(inputs, probes)
    if continuations is not None:
        inputs = extend(inputs, continuations, padding_id(processor))
    return inputs


@dataclass(frozen=True, slots=True)
class Prompt:
    """What became of one probe's question.

    Attributes:
        last_id: the token at the position that predicts the answer's first.
        tokens: positions of the prompt, padding not counted.
        image_tokens: those that hold image features; None if images hold none, or it is not known.
    """

    last_id: int
    tokens: int
    image_tokens: int | None


def prompts_of(inputs: Inputs, images: Tensor | None) -> list[Prompt]:
    """Counts the positions of each row as the processor made them.

    Args:
        inputs: as `build_inputs` makes them, without continuation.
        images: [B, n] which positions hold an image, or None.
    """
    found = []
    prompt = inputs.get("input_ids", inputs.get("decoder_input_ids"))
    assert isinstance(prompt, Tensor)
    # An encoder-decoder reads the prompt elsewhere: its answer follows the decoder's own start.
    last = inputs.get("decoder_input_ids", prompt)[:, -1]
    for row, (mask, before) in enumerate(zip(_row_mask(inputs, prompt), last, strict=True)):
        held = None if images is None else int(images[row].sum())
        found.append(Prompt(int(before), int(mask.sum()), held))
    return found


def _row_mask(inputs: Inputs, ids: Tensor) -> Tensor:
    """[B, n] what is not padding; prepared probes may bring masks of other shapes and are never padded."""
    mask = inputs.get("attention_mask")
    if isinstance(mask, Tensor) and mask.shape == ids.shape:
        return mask.bool()
    return torch.ones_like(ids, dtype=torch.bool)


def tokenizer_of(processor: Any) -> Any:
    """The tokenizer inside a processor, the processor itself if it is one, or None."""
    if processor is None:
        return None
    tokenizer = getattr(processor, "tokenizer", None)
    if tokenizer is not None:
        return tokenizer
    return processor if hasattr(processor, "convert_ids_to_tokens") else None


def _processed(processor: Any, probes: Sequence[Probe], image_id: int | None) -> Inputs:
    images = [[image.open() for image in probe.images] for probe in probes]
    tokenizer = tokenizer_of(processor)
    side = tokenizer.padding_side
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        # Any token will do: padding is masked.
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    try:
        # Generated code of processors varies; whatever it objects to concerns these probes.
        if processor is tokenizer or getattr(processor, "image_processor", None) is None:
            made = _text_only(tokenizer, probes)
        elif getattr(processor, "chat_template", None) is not None:
            made = processor.apply_chat_template(
                [_conversation(probe, shown) for probe, shown in zip(probes, images, strict=True)],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs={"padding": True},
            )
        else:
            _refuse_turns(processor, probes)
            made = _without_template(processor, tokenizer, probes, images, image_id)
    except LvlmAuditError:
        raise
    except Exception as error:
        named = ", ".join(repr(probe.id) for probe in probes[:4])
        raise ProbeError(
            f"the model's processor ({type(processor).__name__}) refused probe {named}: {error}"
        ) from error
    finally:
        tokenizer.padding_side = side
    # PaliGemma's processor adds training labels, of which generation knows nothing.
    return {
        key: value for key, value in made.items() if isinstance(value, Tensor) and key != "labels"
    }


def _conversation(probe: Probe, images: Sequence[Any]) -> list[dict[str, Any]]:
    """The earlier turns and the prompt; each image before the text of its turn."""
    left = list(images)
    made: list[dict[str, Any]] = []
    for turn in (*probe.turns, Turn("user", probe.prompt)):
        last = len(made) == len(probe.turns)
        shown, left = (left, []) if last else (left[: turn.images], left[turn.images :])
        content: list[dict[str, Any]] = [{"type": "image", "image": image} for image in shown]
        content.append({"type": "text", "text": turn.text})
        made.append({"role": turn.role, "content": content})
    return made


def _refuse_turns(processor: Any, probes: Sequence[Probe]) -> None:
    """What was said earlier can only be put into words by a chat template."""
    for probe in probes:
        if probe.turns:
            raise ProbeError(
                f"probe {probe.id!r} has turns before its prompt (the first is of the "
                f"{probe.turns[0].role}), but the model's processor ({type(processor).__name__}) has no chat "
                f"template to write them with. Drop the turns, or add the template."
            )


def _text_only(tokenizer: Any, probes: Sequence[Probe]) -> Mapping[str, Any]:
    for probe in probes:
        if probe.image is not None:
            raise UnsupportedModel(
                f"the processor takes no images, but probe {probe.id!r} has one: this is a text-only "
                f"model. Ask it without images (--lvlm-control text-only), or audit a vision-language "
                f"checkpoint."
            )
    texts = [probe.prompt for probe in probes]
    templated = getattr(tokenizer, "chat_template", None) is not None
    if not templated:
        _refuse_turns(tokenizer, probes)
    else:
        texts = [
            tokenizer.apply_chat_template(
                [
                    *({"role": turn.role, "content": turn.text} for turn in probe.turns),
                    {"role": "user", "content": probe.prompt},
                ],
                tokenize=False,
                add_generation_prompt=True,
            )
            for probe in probes
        ]
    made: Mapping[str, Any] = tokenizer(
        texts, return_tensors="pt", padding=True, add_special_tokens=not templated
    )
    return made


def _without_template(
    processor: Any,
    tokenizer: Any,
    probes: Sequence[Probe],
    images: Sequence[Sequence[Any]],
    image_id: int | None,
) -> Mapping[str, Any]:
    """The bare question, behind the image's token where the processor does not put it there itself."""

    shown = len(images[0])

    def asked(texts: list[str], first: int = shown) -> Mapping[str, Any]:
        pictures = [row[:first] for row in images] if first else None
        made: Mapping[str, Any] = processor(
            images=pictures, text=texts, return_tensors="pt", padding=True
        )
        return made

    bare = [probe.prompt for probe in probes]
    marker = _image_marker(processor, tokenizer, image_id)
    if marker is None or not shown:
        # A picture that holds no place in the prompt (BLIP, GIT): anything more would be read as text.
        return asked(bare)
    text, token = marker
    known = torch.tensor([token] if image_id is None else [token, image_id])
    refusal = ""
    try:
        # PaliGemma's warns that it adds the tokens, which is what is hoped for.
        with quiet():
            made = asked(bare)
    except Exception as error:
        # Processors that count image tokens refuse a prompt without.
        refusal = str(error)
    else:
        held = torch.isin(made["input_ids"], known).sum(dim=1)
        if bool((held >= shown).all()):
            # BLIP-2's makes the places of one image, however many there are: the rest would be lost.
            if shown > 1:
                with quiet():
                    one = torch.isin(asked(bare, first=1)["input_ids"], known).sum(dim=1)
                if bool((held <= one).any()):
                    raise ProbeError(
                        f"the model's processor ({type(processor).__name__}) makes no place in the prompt "
                        f"for more than one image, but probe {probes[0].id!r} has {shown}. Give it one."
                    )
            return made
    # The plain form most base models document: image token, newline, prompt.
    try:
        return asked([f"{text}\n" * shown + question for question in bare])
    except Exception as error:
        if not refusal or refusal == str(error):
            raise
        # Which of the two says what is wrong depends on who has to place the token.
        raise ValueError(f"{error} Without an image token in the prompt: {refusal}") from error


def _image_marker(processor: Any, tokenizer: Any, image_id: int | None) -> tuple[str, int] | None:
    """The text of the image's token and its id; None if nothing names one that the tokenizer knows."""
    named = [getattr(processor, "image_token", None), getattr(tokenizer, "image_token", None)]
    if image_id is not None:
        named.append(tokenizer.convert_ids_to_tokens(image_id))
    for token in named:
        text = getattr(token, "content", token)
        if not isinstance(text, str):
            continue
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(ids) == 1 and ids[0] != tokenizer.unk_token_id:
            return text, int(ids[0])
    return None


def _check_left_padding(inputs: Inputs, probes: Sequence[Probe]) -> None:
    mask = inputs.get("attention_mask")
    if mask is not None and mask.ndim == 2 and not bool(mask[:, -1].all()):
        raise ProbeError(
            f"probe {probes[0].id!r}: the prompt is padded on the right, so its last position predicts "
            f"nothing. Pad prepared tensors on the left."
        )


def padding_id(processor: Any) -> int:
    """What stands in front of a shorter row; its attention mask is 0."""
    tokenizer = tokenizer_of(processor)
    return int(getattr(tokenizer, "pad_token_id", None) or 0)


def extend(inputs: Inputs, continuations: Sequence[Sequence[int]], padding_id: int) -> Inputs:
    """Appends ids to each row and pads anew on the left; sequence-shaped companions follow."""
    ids = inputs["input_ids"]
    longest = max(len(row) for row in continuations)
    if longest == 0:
        return inputs
    rows, positions = ids.shape
    extended = dict(inputs)
    for key, value in inputs.items():
        if not isinstance(value, Tensor) or tuple(value.shape[:2]) != (rows, positions):
            continue
        if value.ndim > 2 and not key.endswith("mask"):
            continue
        # What a padding position holds does not matter, its attention mask is 0; but its id is read
        # by models that count image tokens, so it must not be one.
        out = value.new_full(
            (rows, positions + longest, *value.shape[2:]), padding_id if key == "input_ids" else 0
        )
        for i, row in enumerate(continuations):
            shift = longest - len(row)
            out[i, shift : shift + positions] = value[i]
            answer = out[i, shift + positions :]
            if key == "input_ids":
                answer.copy_(torch.as_tensor(row, dtype=value.dtype))
            elif key == "attention_mask":
                answer.fill_(1)
            elif key == "position_ids":
                answer.copy_(value[i, -1] + 1 + torch.arange(len(row)))
            elif value.ndim > 2:
                # What each position may see of the images: a new one sees what the last did.
                answer.copy_(value[i, -1:].expand_as(answer))
        extended[key] = out
    return extended
