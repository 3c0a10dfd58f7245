"""What is done to pictures before the model sees them: wrong normalising, red and blue swapped."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from PIL import Image
from torch import Tensor

from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.faults.change import Change
from lvlm_audit.models.eyes import find_eyes

_PLAIN = ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
_CLOSE = 0.1


def normalised(change: Change, seed: int, *, mean: Sequence[float], std: Sequence[float]) -> None:
    """Another image_mean and image_std; 0.5 and 0.5 where the model has those that were to be wrong."""
    del seed
    images = _image_processor(change)
    own, spread = (getattr(images, name, None) for name in ("image_mean", "image_std"))
    if not isinstance(own, (list, tuple)) or not isinstance(spread, (list, tuple)):
        raise UnsupportedModel(
            f"the image processor of {change.hooked.name} states no image_mean and image_std that could be "
            f"wrong (it says {own!r} and {spread!r})."
        )
    near = max(abs(a - b) for a, b in zip(spread, std, strict=False)) < _CLOSE
    wrong = _PLAIN if near else (mean, std)
    change.attribute(images, "image_mean", list(wrong[0]))
    change.attribute(images, "image_std", list(wrong[1]))


def channels(change: Change, seed: int) -> None:
    """Red and blue of every picture change places, as where a BGR picture is taken for RGB."""
    del seed
    images = _image_processor(change)
    kind = type(images)

    def called(self: Any, images: Any, *more: Any, **options: Any) -> Any:
        return kind.__call__(self, _flipped(images), *more, **options)

    swapped = copy.copy(images)
    # transformers tells processors by their class's name when it saves them.
    swapped.__class__ = type(kind.__name__, (kind,), {"__call__": called, "channel_order": "BGR"})
    change.attribute(change.hooked.processor, "image_processor", swapped)


def channels_of_weights(change: Change, seed: int) -> None:
    """The same, but in the first layer's weights: no file of a processor can say it."""
    del seed
    kernels = [getattr(module, "weight", None) for module in find_eyes(change.hooked).stem]
    over_three = [w for w in kernels if isinstance(w, Tensor) and w.ndim > 3 and w.shape[1] == 3]
    if not over_three:
        raise UnsupportedModel(
            f"the vision tower of {change.hooked.name} begins with no convolution over three channels, in "
            f"which red and blue could be swapped."
        )
    change.numbers(over_three[0], over_three[0].flip(1))
    images = _image_processor(change)
    for name in ("image_mean", "image_std"):
        value = getattr(images, name, None)
        if isinstance(value, (list, tuple)):
            change.attribute(images, name, list(reversed(value)))


def _image_processor(change: Change) -> Any:
    images = getattr(change.hooked.processor, "image_processor", None)
    if images is None:
        raise UnsupportedModel(
            f"{change.hooked.name} was opened without an image processor, so none can be wrong."
        )
    return images


def _flipped(images: Any) -> Any:
    if isinstance(images, (list, tuple)):
        return [_flipped(image) for image in images]
    if not isinstance(images, Image.Image):
        raise UnsupportedModel(
            f"red and blue are swapped in Pillow's images, not in {type(images).__name__}."
        )
    red, green, blue = images.convert("RGB").split()
    return Image.merge("RGB", (blue, green, red))
