"""Images: where in a decoder's stream a picture is, found by showing another picture.

A position holds the image if state 0 there changes when nothing but the picture does. Most families put
image features in the place of tokens in the prompt; in others the picture enters in front of it, through
an encoder, or through blocks that attend to it, and holds no position of the prompt. What the
configuration names as the image's token is believed only where the stream agrees.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lvlm_audit.errors import CannotRun
from lvlm_audit.models.hooks import entering, hooks_restored, residual
from lvlm_audit.models.structure import run

_NO_PICTURE = ("ids", "mask", "inputs_embeds", "positions", "sizes", "labels", "bbox")
_SOUND_OR_FILM = ("audio", "input_features", "video")
"""How the names of inputs end, or what they hold, that are no picture."""


@dataclass(frozen=True, slots=True)
class ImagePlaces:
    """How a model's pictures enter its decoder.

    Attributes:
        ids: tokens of the prompt in whose places image features stand; empty: they hold no place there.
        mask: an input that marks those places, where no token of their own does (Kosmos-2).
        prefix: positions that the picture takes in front of the prompt.
        blocks: which read the picture by themselves (cross-attention).
        everywhere: it changes every position before the first block (cross-attention in front of it).
        encoder: the decoder is not shown the picture but what an encoder made of it.
    """

    ids: frozenset[int] = frozenset()
    mask: str | None = None
    prefix: int = 0
    blocks: tuple[int, ...] = ()
    everywhere: bool = False
    encoder: bool = False

    def __str__(self) -> str:
        if self.mask is not None:
            return f"positions, where {self.mask} says"
        if self.ids:
            return f"positions, in the places of token {', '.join(map(str, sorted(self.ids)))}"
        if self.prefix:
            return f"no token positions: {self.prefix} positions in front of the prompt"
        if self.encoder:
            return "no token positions: an encoder reads the image"
        if self.blocks:
            many = "s" if len(self.blocks) > 1 else ""
            named = ", ".join(map(str, self.blocks))
            return f"no token positions: block{many} {named} read the image themselves"
        if self.everywhere:
            return "no token positions: it is added to every position before the first block"
        return "not known"

    def of(self, inputs: Mapping[str, Any]) -> Tensor | None:
        """[B, n] whether a position of the prompt holds a picture; None: pictures hold none."""
        ids = inputs.get("input_ids")
        if not isinstance(ids, Tensor) or not (self.ids or self.mask):
            return None
        if self.mask is not None:
            return _marked(self.mask, inputs, ids, otherwise=False)
        held = torch.isin(ids, torch.tensor(sorted(self.ids), device=ids.device))
        return held & _marked("attention_mask", inputs, ids, otherwise=True)


def pictures_in(inputs: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the inputs that hold pictures: numbers that are no text."""
    return tuple(
        key
        for key, value in inputs.items()
        if isinstance(value, Tensor)
        and value.is_floating_point()
        and not key.endswith(_NO_PICTURE)
        and not any(word in key for word in _SOUND_OR_FILM)
        and value.numel() > 0
    )


def find_images(
    model: Any,
    inputs: Mapping[str, Any],
    blocks: Sequence[nn.Module],
    *,
    named: int | None,
    encoder: bool,
) -> ImagePlaces | None:
    """Shows a model another picture and looks where its stream changes.

    Args:
        model: the model.
        inputs: of a forward pass, a picture among them.
        blocks: its decoder's.
        named: the token that its configuration names for image features.
        encoder: an encoder comes before the decoder.

    Returns:
        None if the inputs show no picture.
    """
    if encoder:
        return ImagePlaces(encoder=True)
    if not pictures_in(inputs):
        return None
    ids = inputs.get("input_ids")
    try:
        if isinstance(ids, Tensor):
            found = _look(model, inputs, ids, blocks, named)
            if found != ImagePlaces():
                return found
    except CannotRun:  # it refuses the other picture, not the one that was given
        pass
    # No picture makes a difference (a dead projector, say): only the configuration is left to ask.
    return ImagePlaces() if named is None else ImagePlaces(frozenset([named]))


def _look(
    model: Any,
    inputs: Mapping[str, Any],
    ids: Tensor,
    blocks: Sequence[nn.Module],
    named: int | None,
) -> ImagePlaces:
    one = _entering(model, inputs, blocks)
    changed = torch.zeros(one.shape[:2], dtype=torch.bool, device=ids.device)
    for other in _others(inputs):
        changed |= (_entering(model, other, blocks) != one).any(-1).to(ids.device)
    if not bool(changed.any()):
        return ImagePlaces(blocks=_reading(model, inputs, next(_others(inputs)), blocks))
    if changed.shape[1] > ids.shape[1]:
        return ImagePlaces(prefix=changed.shape[1] - ids.shape[1])
    return _in_the_places_of(changed, ids, inputs, named)


def _in_the_places_of(
    changed: Tensor, ids: Tensor, inputs: Mapping[str, Any], named: int | None
) -> ImagePlaces:
    """What says in which places of a prompt the picture stands: a token, or an input that marks them."""
    # Not every place need change: a row of features may end in a learnt newline.
    if named is not None and bool((ids == named)[changed].all()):
        return ImagePlaces(frozenset([named]))
    if torch.equal(changed, _marked("attention_mask", inputs, ids, otherwise=True)):
        return ImagePlaces(everywhere=True)
    for key, value in inputs.items():
        marks = isinstance(value, Tensor) and key != "input_ids" and value.shape == changed.shape
        if marks and torch.equal(value.bool(), changed):
            return ImagePlaces(mask=key)
    own = set(ids[changed].tolist())
    return ImagePlaces(frozenset(own if own.isdisjoint(ids[~changed].tolist()) else ()))


def _marked(key: str, inputs: Mapping[str, Any], ids: Tensor, *, otherwise: bool) -> Tensor:
    """[B, n] of an input that marks the prompt's positions, if there is one."""
    marks = inputs.get(key)
    if isinstance(marks, Tensor) and marks.shape == ids.shape:
        return marks.to(ids.device).bool()
    return torch.full_like(ids, otherwise, dtype=torch.bool)


class _ReachedError(Exception):
    """The first block was reached: nothing after it matters."""


def _entering(model: Any, inputs: Mapping[str, Any], blocks: Sequence[nn.Module]) -> Tensor:
    """State 0, [B, n or more, d]; no block is run."""
    seen: list[Tensor] = []

    def entered(_: nn.Module, args: Any, kwargs: Any) -> None:
        seen.append(residual(entering(args, kwargs)).detach().clone())
        raise _ReachedError

    with hooks_restored(model):
        blocks[0].register_forward_pre_hook(entered, with_kwargs=True)
        with suppress(_ReachedError):
            run(model, inputs)
    (state,) = seen
    # Streams are alike before the first block, or the first of them is what was embedded.
    return state if state.ndim == 3 else _one_stream(state)


def _one_stream(state: Tensor) -> Tensor:
    return state[:, :, 0] if state.shape[2] < state.shape[1] else state[0]


def _reading(
    model: Any,
    inputs: Mapping[str, Any],
    other: Mapping[str, Any],
    blocks: Sequence[nn.Module],
) -> tuple[int, ...]:
    """Blocks that give something else for another picture although they are shown the same stream."""
    shown: dict[int, Tensor] = {}
    given: dict[int, Tensor] = {}
    differ: set[int] = set()

    def remember(i: int) -> Any:
        def hook(_: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            shown[i] = residual(entering(args, kwargs)).detach().clone()
            given[i] = residual(output).detach().clone()

        return hook

    def show(i: int) -> Any:
        def hook(_: nn.Module, args: Any, kwargs: Any) -> Any:
            if i in shown:
                residual(entering(args, kwargs)).copy_(shown[i])

        return hook

    def compare(i: int) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            if i in given and not torch.equal(residual(output), given[i]):
                differ.add(i)

        return hook

    with hooks_restored(model):
        for i, block in enumerate(blocks):
            block.register_forward_hook(remember(i), with_kwargs=True)
        run(model, inputs)
    with hooks_restored(model):
        for i, block in enumerate(blocks):
            block.register_forward_pre_hook(show(i), with_kwargs=True)
            block.register_forward_hook(compare(i))
        run(model, other)
    return tuple(sorted(differ))


def _others(inputs: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The same inputs with other pictures: turned into their negatives, and mirrored."""
    keys = pictures_in(inputs)
    yield {**inputs, **{key: _negative(inputs[key]) for key in keys}}
    yield {**inputs, **{key: _mirrored(inputs[key]) for key in keys}}


def _negative(values: Tensor) -> Tensor:
    # Whole numbers may be places (Pix2Struct's rows and columns) or padding.
    whole = values == values.round()
    return values.where(whole, -values) if not bool(whole.all()) else 0.5 - values


def _mirrored(values: Tensor) -> Tensor:
    whole = values == values.round()
    return values.where(whole, 1.3 * values.flip(-1).where(~whole.flip(-1), 0.25))
