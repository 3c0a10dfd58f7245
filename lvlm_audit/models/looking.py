"""What a processor makes of a red, a green and a blue picture: how pixels reach the model in fact.

Channels can be swapped, or scaled otherwise, by code that no setting names.
"""

from __future__ import annotations

import io
import itertools
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lvlm_audit.models.asking import build_inputs
from lvlm_audit.probes.probe import ImageSource, Probe

if TYPE_CHECKING:
    from lvlm_audit.models.hooked import HookedModel

_log = logging.getLogger(__name__)

_COLORS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
_SIDE = 64


def seen_of_colors(hooked: HookedModel) -> dict[str, Any]:
    """The mean of each channel of three plain pictures, the channels' order, and an image's positions.

    Returns:
        Empty where it is not known which values belong to which channel.
    """
    probes = [_probe(color) for color in _COLORS]
    try:
        # In float32, whatever the weights are: the same picture for a parent and its rounded child.
        shown = [
            build_inputs(
                hooked.processor,
                [probe],
                device=hooked.device,
                dtype=torch.float32,
                image_id=hooked.image_feature_id,
            )
            for probe in probes
        ]
    except Exception as error:
        # A model that cannot look at a plain picture is found out by the probes, which say it better.
        _log.info("what the processor makes of plain pictures is not known: %s", error)
        return {}
    found: dict[str, Any] = {}
    channels = [c for inputs in shown if (c := _channels(inputs.get("pixel_values"))) is not None]
    if len(channels) == len(_COLORS):
        for color, values in zip(_COLORS, channels, strict=True):
            found[f"{color}_picture"] = [float(f"{v:.3g}") for v in values]
        order = channel_order(np.array(channels))
        found |= {} if order is None else {"channel_order": order}
    prompt = hooked.prompts(shown[0])[0]
    if prompt.image_tokens is not None:
        found[f"image_tokens_of_{_SIDE}x{_SIDE}"] = prompt.image_tokens
    return found


def channel_order(means: npt.NDArray[Any]) -> str | None:
    """Which colour each channel answers to, as "RGB"; None where it is not one each.

    Args:
        means: [3 pictures: red, green, blue, 3 channels].
    """
    # A channel's own colour lifts it above what the two others give; another mean or scale does not move that.
    answers = [int(np.argmax(means[:, channel])) for channel in range(3)]
    order = "".join("RGB"[colour] for colour in answers)
    return order if order in {"".join(p) for p in itertools.permutations("RGB")} else None


def _probe(color: str) -> Probe:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (_SIDE, _SIDE), _COLORS[color]).save(buffer, "PNG")
    picture = ImageSource(name=f"{color}.png", data=buffer.getvalue())
    return Probe(id=color, prompt="What color is it?", image=picture, cluster=color)


def _channels(pixels: Any) -> npt.NDArray[np.float64] | None:
    """The mean of each of the three channels; None where they cannot be told apart."""
    if not isinstance(pixels, Tensor):
        return None
    values = pixels.detach().float().cpu().numpy().astype(np.float64)
    shape = values.shape
    if len(shape) >= 4 and shape[-3] == 3:
        apart = np.moveaxis(values, -3, 0)
    elif len(shape) >= 4 and shape[-1] == 3:
        apart = np.moveaxis(values, -1, 0)
    elif len(shape) in (2, 3) and shape[-1] % 3 == 0:
        # Patches in a row (Qwen2-VL): the channels are the slowest axis of each.
        apart = np.moveaxis(values.reshape(*shape[:-1], 3, -1), -2, 0)
    else:
        return None
    means: npt.NDArray[np.float64] = apart.reshape(3, -1).mean(axis=1)
    return means
